// "/" and ⌘K / Ctrl-K go to the search box; j, k and Enter move through the rows of a list.
const typing = (element) =>
  element instanceof HTMLElement && (element.isContentEditable || element.matches("input, textarea, select"));

function startKeys() {
  const search = document.getElementById("q");
  const tables = [...document.querySelectorAll("table[data-rows]")].filter((table) => table.querySelector("tbody th a"));
  let current = -1;

  const rows = () => tables.flatMap((table) => [...table.tBodies[0].rows]);
  const move = (step) => {
    const all = rows();
    if (all.length === 0) return;
    const focused = all.findIndex((row) => row.contains(document.activeElement));
    current = Math.min(all.length - 1, Math.max(0, (focused >= 0 ? focused : current) + step));
    const link = all[current].querySelector("th a");
    link?.focus();
    all[current].scrollIntoView({ block: "nearest" });
  };

  document.addEventListener("keydown", (event) => {
    if (event.isComposing || event.altKey) return;
    if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === "k" && search) {
      event.preventDefault();
      search.focus();
      search.select();
      return;
    }
    if (event.metaKey || event.ctrlKey || typing(event.target)) return;
    if (event.key === "/" && search) {
      event.preventDefault();
      search.focus();
      search.select();
    } else if (event.key === "j") {
      move(1);
    } else if (event.key === "k") {
      move(-1);
    }
  });
}

startKeys();
