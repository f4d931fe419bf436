# The sieve of Eratosthenes: every prime up to `limit`, one a line.
BEGIN {
  for (n = 2; n <= limit; n++) {
    if (n in composite) continue
    print n
    for (multiple = n * n; multiple <= limit; multiple += n) composite[multiple]
  }
}
