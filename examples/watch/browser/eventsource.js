// Follow a stack with EventSource. It cannot send a token: see the README.

const KINDS = ["snapshot", "bookmark", "change", "reset", "goodbye"];
const FIRST = 1000, LONGEST = 30000; // milliseconds

export function follow(stack, copy) {
  let pause = FIRST;

  function connect() {
    // A new EventSource knows nothing of the last one's id, so since carries it. When this one
    // reconnects by itself it sends Last-Event-ID, which wins over since, as since does over initial.
    const since = copy.cursor === null ? "" : `&since=${encodeURIComponent(copy.cursor)}`;
    const source = new EventSource(`${stack}/events?initial=true${since}`);

    source.onopen = () => {
      copy.begin();
      pause = FIRST;
    };
    for (const kind of KINDS) {
      source.addEventListener(kind, (frame) => {
        copy.take(kind, frame.data);
        if (copy.deleted) {
          source.close();
        }
      });
    }
    source.onerror = () => {
      if (source.readyState !== EventSource.CLOSED) {
        return; // the connection broke, or ended with goodbye: the browser makes the next
      }
      // The answer was an error, such as a 503 of a service that starts or a 502 of a proxy. The
      // browser has given up for good, and does not tell why.
      copy.tell(`closed; the next EventSource in ${pause} ms`);
      setTimeout(connect, pause * (1 + Math.random() / 2));
      pause = Math.min(2 * pause, LONGEST);
    };
  }

  connect();
}
