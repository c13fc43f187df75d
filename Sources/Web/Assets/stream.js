// What all tabs of a browser share: one stream that says how much its person has not read. It ends with the session, and where
// none can be held it asks now and then.
const ports = new Set();
let session = null;
let last = null;
let source = null;
let opening = 0;
let slow = 0;

const tell = (message) => { for (const port of ports) port.postMessage(message); };

function close() {
  source?.close();
  clearTimeout(opening);
  clearInterval(slow);
  source = null;
  opening = slow = 0;
}

function over() {
  close();
  tell({ ended: session });
  session = last = null;
}

function take(data) {
  last = data;
  session = data.session;
  tell(data);
}

// A page that is left at once needs no stream.
function open() {
  close();
  opening = setTimeout(() => {
    opening = 0;
    source = new EventSource("/events");
    source.addEventListener("unread", (event) => take(JSON.parse(event.data)));
    source.addEventListener("end", over);
    source.addEventListener("error", () => { if (source?.readyState === EventSource.CLOSED) ask(); });
  }, 300);
}

// The browser gave up: there is no room for a stream, or no session any more.
async function ask() {
  close();
  let rounds = 0;
  const once = async () => {
    const answer = await fetch("/events/now").catch(() => null);
    if (answer?.status === 401) return over();
    if (answer?.ok) take(await answer.json());
    rounds += 1;
    if (rounds === 4) open();
  };
  slow = setInterval(once, 30000);
  await once();
}

onconnect = ({ ports: [port] }) => {
  port.onmessage = ({ data }) => {
    if (data.bye) {
      ports.delete(port);
      if (ports.size === 0) close();
      return;
    }
    ports.add(port);
    if (data.hello !== session || !(source || opening || slow)) {
      session = data.hello;
      last = null;
      open();
    } else if (last) {
      port.postMessage(last);
    }
  };
};
