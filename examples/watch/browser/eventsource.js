// Follow a stack with EventSource. It cannot send a token: see the README.

const KINDS = ["snapshot", "bookmark", "change", "reset", "goodbye"];
const FIRST = 1000, LONGEST = 30000; // milliseconds

export function follow(stack, copy) {
  let pause = FIRST;

  function connect() {
    // A new EventSource does not have the last id of the previous one, so since contains it. When an
    // EventSource reconnects by itself, it sends Last-Event-ID, which takes precedence over since, and
    // since takes precedence over initial.
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
        return; // the connection broke or ended: the browser reconnects
      }
      // The response was an error, such as a 503 from a service that is starting or a 502 from a proxy.
      // The browser does not reconnect, and does not report the reason.
      copy.print(`closed; the next EventSource in ${pause} ms`);
      setTimeout(connect, pause * (1 + Math.random() / 2));
      pause = Math.min(2 * pause, LONGEST);
    };
  }

  connect();
}
