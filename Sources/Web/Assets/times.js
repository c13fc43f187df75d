// Keeps "11 min ago" true while the page is open, and adds the local time to the title. The words are the server's.
const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

function relative(at, now) {
  const distance = Math.trunc((now - at) / 1000);
  const size = Math.abs(distance);
  if (size < 5) return "now";
  let text;
  if (size < 60) text = `${size} s`;
  else if (size < 3600) text = `${Math.floor(size / 60)} min`;
  else if (size < 86400) text = `${Math.floor(size / 3600)} h`;
  else if (size < 7 * 86400) text = size < 2 * 86400 ? "1 day" : `${Math.floor(size / 86400)} days`;
  else {
    const day = `${at.getUTCDate()} ${months[at.getUTCMonth()]}`;
    return at.getUTCFullYear() === now.getUTCFullYear() ? day : `${day} ${at.getUTCFullYear()}`;
  }
  return distance > 0 ? `${text} ago` : `in ${text}`;
}

function startTimes() {
  const times = [...document.querySelectorAll("time[datetime]")].filter((time) => time.title);
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const local = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", timeZoneName: "short" });
  if (zone !== "UTC") {
    for (const time of times) time.title += `, ${local.format(new Date(time.dateTime))} here`;
  }
  const moving = times.filter((time) => "relative" in time.dataset);
  const refresh = () => {
    const now = new Date();
    for (const time of moving) time.textContent = relative(new Date(time.dateTime), now);
  };
  // Not at once: the server's clock and this one may differ by seconds, and the text was right a moment ago.
  if (moving.length > 0) setInterval(refresh, 15000);
}

startTimes();
