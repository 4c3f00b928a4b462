// Elements of a page, made in one line each.

/** An element with properties (`on…` and `data…` too) and children; what is
 * null is left out. */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "class") made.className = value;
    else if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** Text, where it is another than before: screen readers and selections stay
 * calm. Nothing to say hides the element. */
export function say(target, text) {
  target.hidden = text === null || text === undefined || text === "";
  if (!target.hidden && target.textContent !== text) target.textContent = text;
}

/** Fills `target` anew where what it shows has changed. What is there again, by
 * its name or id, keeps the focus. */
export function fill(target, shown, make) {
  const key = JSON.stringify(shown);
  if (target.shownKey === key) return false;
  target.shownKey = key;
  const { name, id } = target.contains(document.activeElement) ? document.activeElement : {};
  target.replaceChildren(...make());
  if (name) target.querySelector(`[name="${CSS.escape(name)}"]`)?.focus();
  else if (id) document.getElementById(id)?.focus();
  return true;
}
