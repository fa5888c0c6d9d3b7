// SHA-256 (FIPS 180-4) where the browser keeps its own to itself: over plain http.
const PRIMES: number[] = [];
for (let n = 2; PRIMES.length < 64; n++) if (PRIMES.every((prime) => n % prime)) PRIMES.push(n);

/** The first 32 bits of the fractional part. */
const fraction = (x: number) => Math.trunc((x - Math.trunc(x)) * 2 ** 32) | 0;
const FIRST = PRIMES.slice(0, 8).map((prime) => fraction(Math.sqrt(prime)));
const K = Int32Array.from(PRIMES, (prime) => fraction(Math.cbrt(prime)));
const PIECE_BYTES = 1 << 20; // between two the page draws, and takes clicks

/** The hash of a file, piece by piece, in hexadecimal digits. */
export async function sha256(file: Blob): Promise<string> {
  const state = Int32Array.from(FIRST);
  let at = 0;
  for (; at + PIECE_BYTES <= file.size; at += PIECE_BYTES) take(state, await file.slice(at, at + PIECE_BYTES).arrayBuffer());
  const rest = await file.slice(at).arrayBuffer();
  const last = new Uint8Array(Math.ceil((rest.byteLength + 9) / 64) * 64);
  last.set(new Uint8Array(rest));
  last[rest.byteLength] = 0x80;
  new DataView(last.buffer).setBigUint64(last.length - 8, BigInt(file.size) * 8n);
  take(state, last.buffer);
  return Array.from(state, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
}

const rotate = (x: number, by: number) => (x >>> by) | (x << (32 - by));

function take(state: Int32Array, blocks: ArrayBuffer): void {
  const words = new DataView(blocks);
  const w = new Int32Array(64);
  for (let block = 0; block < words.byteLength; block += 64) {
    for (let i = 0; i < 16; i++) w[i] = words.getInt32(block + 4 * i);
    for (let i = 16; i < 64; i++) {
      const early = w[i - 15]!;
      const late = w[i - 2]!;
      w[i] = w[i - 16]! + (rotate(early, 7) ^ rotate(early, 18) ^ (early >>> 3)) + w[i - 7]! + (rotate(late, 17) ^ rotate(late, 19) ^ (late >>> 10));
    }
    let [a, b, c, d, e, f, g, h] = state as unknown as [number, number, number, number, number, number, number, number];
    for (let i = 0; i < 64; i++) {
      const one = (h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + K[i]! + w[i]!) | 0;
      const two = ((rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((word, i) => (state[i] = (state[i]! + word) | 0));
  }
}
