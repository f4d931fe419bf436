// The CRC of two runs of bytes from the CRCs of each: so that parts of a gzip can be made apart. It is a division in polynomials over
// GF(2): appending n bytes multiplies by x^(8n) modulo gzip's polynomial (RFC 1952, 8; ITU-T V.42).

/** Of CRC-32, with the bit of x^0 highest. */
const polynomial = 0xedb88320;

/** The CRC-32 of A followed by B, of which `length` is B's in bytes. */
export function combineCrc32(a: number, b: number, length: number): number {
  return (times(powerOfX(8 * length), a) ^ b) >>> 0;
}

function times(a: number, b: number): number {
  let product = 0;
  let shifted = b;
  for (let bit = 0x80000000; bit !== 0; bit >>>= 1) {
    if (a & bit) product ^= shifted;
    shifted = shifted & 1 ? (shifted >>> 1) ^ polynomial : shifted >>> 1;
  }
  return product >>> 0;
}

/** x^n modulo the polynomial, by squaring; n may exceed 32 bits. */
function powerOfX(n: number): number {
  let result = 0x80000000;
  let square = 0x40000000;
  for (let rest = n; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result = times(square, result);
    square = times(square, square);
  }
  return result;
}
