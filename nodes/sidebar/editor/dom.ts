/** Elements are made here, always with text and never with markup: peers write names and headers. */
import { t } from "./texts.js";

type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;
type Child = Node | string | undefined;

export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  apply(element, attributes);
  for (const child of children) if (child !== undefined) element.append(child);
  return element;
}

export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  apply(element, attributes);
  for (const child of children) if (child !== undefined) element.append(child);
  return element;
}

function apply(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? "" : String(value));
  }
}

export const icon = (name: string): HTMLElement =>
  el("i", { class: `fa fa-${name}`, "aria-hidden": "true" });

/** A button with a picture and a name for those who do not see it, or with a picture and words. */
export function button(
  picture: string,
  key: string,
  onClick: () => void,
  options: { words?: boolean; class?: string } = {},
): HTMLButtonElement {
  const text = t(key);
  const element = el(
    "button",
    {
      type: "button",
      class: `red-ui-button ${options.words ? "" : "sip-icon"} ${options.class ?? ""}`,
      title: options.words ? undefined : text,
      "aria-label": options.words ? undefined : text,
    },
    icon(picture),
    options.words ? ` ${text}` : undefined,
  );
  element.addEventListener("click", onClick);
  return element;
}

export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

export function setClass(element: Element, names: string): void {
  if (element.getAttribute("class") !== names) element.setAttribute("class", names);
}

/** A line with its own update. */
export interface Row<T> {
  readonly element: HTMLElement;
  update(item: T): void;
}

/** Keeps one row per item, in the items' order; rows that stay are not made anew, so that the focus stays, too. */
export class KeyedList<T> {
  readonly #rows = new Map<string, Row<T>>();

  constructor(
    readonly container: HTMLElement,
    readonly keyOf: (item: T) => string,
    readonly create: (item: T) => Row<T>,
  ) {}

  show(items: readonly T[]): void {
    const gone = new Set(this.#rows.keys());
    let before = this.container.firstElementChild;
    for (const item of items) {
      const key = this.keyOf(item);
      gone.delete(key);
      let row = this.#rows.get(key);
      if (row === undefined) {
        row = this.create(item);
        this.#rows.set(key, row);
      }
      row.update(item);
      if (row.element === before) before = before.nextElementSibling;
      else this.container.insertBefore(row.element, before);
    }
    for (const key of gone) {
      this.#rows.get(key)?.element.remove();
      this.#rows.delete(key);
    }
  }

  get rows(): IterableIterator<Row<T>> {
    return this.#rows.values();
  }
}
