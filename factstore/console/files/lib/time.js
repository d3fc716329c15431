// Ages and durations for people.

const STEPS = [[86_400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

/** Return seconds in their largest unit, such as `3 min`. */
export function duration(seconds) {
  const [size, unit] = STEPS.find(([each]) => seconds >= each) ?? [1, "s"];
  return `${Math.max(0, Math.floor(seconds / size))} ${unit}`;
}

/** Return the age of a time as text. */
export function age(timestamp, now = Date.now()) {
  return timestamp ? duration((now - Date.parse(timestamp)) / 1000) : "";
}

/** Return a time in the local zone. */
export function moment(timestamp) {
  return timestamp ? new Date(timestamp).toLocaleString() : "";
}
