// Follow a stack with fetch(), which can send a token, and can detect the status of a response and silence.
// EventSource can do none of these.

const FIRST = 1000, LONGEST = 30000, SILENCE = 45000; // milliseconds; the service pings every 15 s

export async function follow(stack, copy, getToken = async () => null) {
  let retry = FIRST;
  for (let failures = 0; !copy.deleted; failures++) {
    let wait = Math.min(retry * 2 ** failures, LONGEST);
    try {
      for await (const frame of frames(`${stack}/events?initial=true`, copy, await getToken())) {
        failures = 0;
        wait = retry = frame.retry === undefined ? retry : Number(frame.retry);
        if (frame.event !== undefined) {
          copy.take(frame.event, frame.data);
        }
      }
    } catch (error) {
      if (error.fatal) {
        throw error;
      }
      copy.print(`disconnected: ${error.message}`);
    }
    await new Promise((resolve) => setTimeout(resolve, wait * (1 + Math.random() / 2)));
  }
}

// Yields the frames of one connection, as objects of their fields.
async function* frames(url, copy, token) {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENCE);
  try {
    const headers = { Accept: "text/event-stream" };
    if (copy.cursor !== null) {
      headers["Last-Event-ID"] = copy.cursor; // takes precedence over initial
    }
    if (token !== null) {
      headers["X-Auth-Token"] = token;
    }
    const answer = await fetch(url, { headers, signal: silence.signal, cache: "no-store" });
    if (!answer.ok) {
      const fatal = [400, 401, 403, 404, 406].includes(answer.status); // another attempt would fail too
      throw Object.assign(new Error(`HTTP ${answer.status}`), { fatal });
    }
    copy.begin();
    const pieces = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (let piece; !(piece = await pieces.read()).done;) {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE);
      text += piece.value;
      const blocks = text.split("\n\n");
      text = blocks.pop(); // not complete yet
      for (const block of blocks) {
        const frame = {};
        for (const line of block.split("\n")) {
          const [name, value] = line.split(/: (.*)/s, 2);
          // A large event has several lines of data.
          frame[name] = name in frame ? `${frame[name]}\n${value}` : value;
        }
        yield frame;
      }
    }
  } finally {
    clearTimeout(timer);
    silence.abort(); // also if the reader of the frames stops
  }
}
