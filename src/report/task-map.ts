// The tasks of a run by id, of which one changes at each event: a change makes a new map that shares all but a page with the one before, so
// that a run of thousands of tasks costs no more an event than a small one.

const pageSize = 64;

/** In the order of the entries that it was made of, whatever changes. */
export class PagedMap<V> implements ReadonlyMap<string, V> {
  readonly #places: ReadonlyMap<string, number>;
  readonly #pages: readonly (readonly V[])[];

  private constructor(places: ReadonlyMap<string, number>, pages: readonly (readonly V[])[]) {
    this.#places = places;
    this.#pages = pages;
  }

  static of<V>(entries: readonly (readonly [string, V])[]): PagedMap<V> {
    const unique = [...new Map(entries)];
    const values = unique.map(([, value]) => value);
    const pages = Array.from({ length: Math.ceil(values.length / pageSize) }, (_, page) =>
      values.slice(page * pageSize, (page + 1) * pageSize),
    );
    return new PagedMap(new Map(unique.map(([key], place) => [key, place])), pages);
  }

  get size(): number {
    return this.#places.size;
  }

  has(key: string): boolean {
    return this.#places.has(key);
  }

  get(key: string): V | undefined {
    const place = this.#places.get(key);
    return place === undefined ? undefined : this.#pages[Math.floor(place / pageSize)]?.[place % pageSize];
  }

  /** A map in which this key has another value; the same one where it has no such key. */
  with(key: string, value: V): PagedMap<V> {
    const place = this.#places.get(key);
    if (place === undefined) return this;
    const at = Math.floor(place / pageSize);
    const page = (this.#pages[at] ?? []).with(place % pageSize, value);
    return new PagedMap(this.#places, this.#pages.with(at, page));
  }

  keys(): MapIterator<string> {
    return this.#places.keys();
  }

  values(): MapIterator<V> {
    return this.#pages.flat().values();
  }

  entries(): MapIterator<[string, V]> {
    const values = this.#pages.flat();
    return [...this.#places]
      .flatMap(([key, place]): [string, V][] => {
        const value = values[place];
        return value === undefined ? [] : [[key, value]];
      })
      .values();
  }

  [Symbol.iterator](): MapIterator<[string, V]> {
    return this.entries();
  }

  forEach(each: (value: V, key: string, map: ReadonlyMap<string, V>) => void): void {
    for (const [key, value] of this.entries()) each(value, key, this);
  }
}
