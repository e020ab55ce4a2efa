/**
 * The rows of a tree of folders of which only what was opened and looked at is known. A folder of a million things costs
 * one number until its rows are seen; pages of items are kept as long as there are not too many.
 */
import type { Item, ListOptions, Page } from "../engine/engine.ts";

/** Items asked for at once. */
const PAGE = 250;
/** Pages that are kept; the longest unused go first. */
const PAGES_KEPT = 200;

export type Lister = (folder: string, options: ListOptions) => Promise<Page>;

export interface Row {
  /** Below the store path. */
  readonly file: string;
  /** Absent until its page is here. */
  readonly item?: Item;
  readonly depth: number;
  /** Place among its siblings, and how many there are. */
  readonly index: number;
  readonly total: number;
  readonly open: boolean;
}

class Folder {
  total = 0;
  readonly pages = new Map<number, readonly Item[] | "asked">();
  /** Opened folders in this one, by their place. */
  readonly opened = new Map<number, Folder>();

  constructor(readonly file: string, readonly depth: number) {}

  /** Rows of all that is in here. */
  get rows(): number {
    let rows = this.total;
    for (const folder of this.opened.values()) rows += folder.rows;
    return rows;
  }

  item(index: number): Item | undefined {
    const page = this.pages.get(Math.floor(index / PAGE));
    return page === "asked" ? undefined : page?.[index % PAGE];
  }

  get inOrder(): [number, Folder][] {
    return [...this.opened].sort(([a], [b]) => a - b);
  }
}

export class FolderTree {
  readonly #root = new Folder("", 0);
  /** Pages in the order of their last use. */
  readonly #used = new Map<string, { folder: Folder; page: number }>();

  /** @param changed told when rows became known */
  constructor(
    readonly list: Lister,
    readonly order: NonNullable<ListOptions["order"]>,
    readonly changed: () => void,
    readonly failed: (error: unknown) => void,
  ) {}

  get count(): number {
    return this.#root.rows;
  }

  /** Asks for the first rows. */
  start(): Promise<void> {
    return this.#ask(this.#root, 0);
  }

  row(index: number): Row {
    const { folder, at } = this.#find(index);
    const item = folder.item(at);
    return {
      file: item ? join(folder.file, item.name) : join(folder.file, `\0${at}`),
      item,
      depth: folder.depth,
      index: at,
      total: folder.total,
      open: folder.opened.has(at),
    };
  }

  /** Makes sure of rows that are seen. */
  need(start: number, end: number): void {
    for (let i = start; i < Math.min(end, this.count); i++) {
      const { folder, at } = this.#find(i);
      const page = Math.floor(at / PAGE);
      const key = `${folder.file}\0${page}`;
      const used = this.#used.get(key);
      if (used?.folder === folder) {
        this.#used.delete(key);
        this.#used.set(key, used);
      } else if (!folder.pages.has(page)) this.#ask(folder, page);
    }
  }

  /** Opens the folder in a row. */
  async open(index: number): Promise<void> {
    const { folder, at } = this.#find(index);
    const item = folder.item(at);
    if (item?.type !== "directory" || folder.opened.has(at)) return;
    const opened = new Folder(join(folder.file, item.name), folder.depth + 1);
    folder.opened.set(at, opened);
    await this.#ask(opened, 0);
  }

  close(index: number): void {
    const { folder, at } = this.#find(index);
    folder.opened.delete(at);
    this.changed();
  }

  /** The row of the folder that a row is in, or -1. */
  parent(index: number): number {
    const { depth } = this.row(index);
    if (depth === 0) return -1;
    const { folder } = this.#find(index);
    return this.#rowOf(this.#root, folder, 0) ?? -1;
  }

  /**
   * Opens the folders around a file and returns its row, or `undefined` where it would have to be looked for among too many.
   */
  async reveal(file: string, most = 20): Promise<number | undefined> {
    let folder = this.#root;
    let row = 0;
    const names = file.split("/");
    for (const [depth, name] of names.entries()) {
      const at = await this.#look(folder, name, most);
      if (at === undefined) return undefined;
      row += at + this.#rowsBefore(folder, at);
      if (depth === names.length - 1) return row;
      let next = folder.opened.get(at);
      if (!next) {
        if (folder.item(at)?.type !== "directory") return undefined;
        next = new Folder(join(folder.file, name), folder.depth + 1);
        folder.opened.set(at, next);
        await this.#ask(next, 0);
      }
      folder = next;
      row++;
    }
    return undefined;
  }

  async #look(folder: Folder, name: string, most: number): Promise<number | undefined> {
    for (let page = 0; page < Math.min(most, Math.ceil(folder.total / PAGE)); page++) {
      if (typeof folder.pages.get(page) !== "object") await this.#ask(folder, page);
      const items = folder.pages.get(page);
      const at = typeof items === "object" ? items.findIndex((item) => item.name === name) : -1;
      if (at >= 0) return page * PAGE + at;
    }
    return undefined;
  }

  #rowsBefore(folder: Folder, at: number): number {
    let rows = 0;
    for (const [index, opened] of folder.opened) if (index < at) rows += opened.rows;
    return rows;
  }

  #rowOf(folder: Folder, wanted: Folder, before: number): number | undefined {
    for (const [at, opened] of folder.opened) {
      const row = before + at + this.#rowsBefore(folder, at);
      if (opened === wanted) return row;
      const inside = this.#rowOf(opened, wanted, row + 1);
      if (inside !== undefined) return inside;
    }
    return undefined;
  }

  #find(index: number): { folder: Folder; at: number } {
    let folder = this.#root;
    let left = index;
    descend: for (;;) {
      for (const [at, opened] of folder.inOrder) {
        if (left <= at) break;
        const rows = opened.rows;
        if (left <= at + rows) {
          left -= at + 1;
          folder = opened;
          continue descend;
        }
        left -= rows;
      }
      return { folder, at: left };
    }
  }

  async #ask(folder: Folder, page: number): Promise<void> {
    folder.pages.set(page, "asked");
    try {
      const { total, items } = await this.list(folder.file, {
        offset: page * PAGE,
        limit: PAGE,
        order: this.order,
      });
      folder.total = total;
      folder.pages.set(page, items);
      this.#used.set(`${folder.file}\0${page}`, { folder, page });
      this.#forget();
      this.changed();
    } catch (error) {
      folder.pages.delete(page);
      this.failed(error);
    }
  }

  #forget(): void {
    for (const [key, { folder, page }] of this.#used) {
      if (this.#used.size <= PAGES_KEPT) return;
      this.#used.delete(key);
      folder.pages.delete(page);
    }
  }
}

function join(folder: string, name: string): string {
  return folder === "" ? name : `${folder}/${name}`;
}
