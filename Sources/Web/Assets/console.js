// Everything here only makes quicker what also works without it. No framework, no third party.

function startCopying() {
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const before = button.lastChild.nodeType === Node.TEXT_NODE ? button.lastChild.data : null;
      try {
        await navigator.clipboard.writeText(button.dataset.copy);
        say("Copied");
        if (before !== null) {
          button.lastChild.data = "Copied";
          setTimeout(() => { button.lastChild.data = before; }, 1500);
        }
      } catch {
        say("The browser refused to copy. Select the text and copy it yourself.");
      }
    });
  }
  for (const button of document.querySelectorAll("[data-print]")) {
    button.hidden = false;
    button.addEventListener("click", () => print());
  }
}

// One live region, read out by screen readers and seen as a toast.
let region;
function say(text) {
  if (!region) {
    region = document.createElement("p");
    region.className = "toast toast--floating";
    region.setAttribute("role", "status");
    document.body.append(region);
  }
  region.textContent = text;
  region.hidden = false;
  clearTimeout(region.timer);
  region.timer = setTimeout(() => { region.hidden = true; }, 2500);
}

function startTheme() {
  const root = document.documentElement;
  for (const button of document.querySelectorAll("[data-theme-switch]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      const theme = dark ? "light" : "dark";
      root.dataset.theme = theme;
      document.cookie = `theme=${theme}; Path=/; Max-Age=31536000; SameSite=Lax${location.protocol === "https:" ? "; Secure" : ""}`;
    });
  }
}

// Menus made of <details> close like menus.
function startMenus() {
  document.addEventListener("click", (event) => {
    for (const open of document.querySelectorAll("details:is(.menu, .off)[open]")) {
      if (!open.contains(event.target)) open.open = false;
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const open of document.querySelectorAll("details:is(.menu, .off)[open]")) {
      open.open = false;
      open.querySelector("summary").focus();
    }
  });
}

startCopying();
startTheme();
startMenus();
