// The difference of two texts, line by line.

const MOST_CELLS = 4_000_000;

/** Return the lines of both texts with their kinds: same, removed or added. */
export function diffLines(before, after) {
  const one = before.split("\n"), other = after.split("\n");
  let start = 0;
  while (start < one.length && start < other.length && one[start] === other[start]) start += 1;
  let end = 0;
  while (end < one.length - start && end < other.length - start &&
    one.at(-1 - end) === other.at(-1 - end)) end += 1;
  const a = one.slice(start, one.length - end), b = other.slice(start, other.length - end);
  const same = (lines) => lines.map((text) => ({kind: "same", text}));
  return [
    ...same(one.slice(0, start)),
    ...middle(a, b),
    ...same(one.slice(one.length - end)),
  ];
}

function middle(a, b) {
  const removed = a.map((text) => ({kind: "removed", text}));
  const added = b.map((text) => ({kind: "added", text}));
  if (a.length * b.length > MOST_CELLS || !a.length || !b.length) return [...removed, ...added];
  // The lengths of the longest common subsequences of all suffixes.
  const width = b.length + 1, lengths = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      lengths[i * width + j] = a[i] === b[j]
        ? lengths[(i + 1) * width + j + 1] + 1
        : Math.max(lengths[(i + 1) * width + j], lengths[i * width + j + 1]);
    }
  }
  const found = [];
  let i = 0, j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      found.push({kind: "same", text: a[i]});
      i += 1;
      j += 1;
    } else if (j >= b.length ||
      (i < a.length && lengths[(i + 1) * width + j] >= lengths[i * width + j + 1])) {
      found.push(removed[i]);
      i += 1;
    } else {
      found.push(added[j]);
      j += 1;
    }
  }
  return found;
}
