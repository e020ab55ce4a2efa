/** The order in which paths are published: what is referred to first. */
import { formatStorePath, type StorePath } from "../nix/store_path.ts";

/**
 * What is known of paths and of all they refer to, each after what it refers to, as far as they do not refer to each other in a circle.
 * @param find tells of a path that another one refers to, or that is a root
 */
export async function referencesFirst<T extends { readonly references: readonly StorePath[] }>(
  roots: readonly StorePath[],
  find: (path: StorePath, from: StorePath | undefined) => Promise<T>,
): Promise<T[]> {
  const ordered: T[] = [];
  const seen = new Set<string>();
  for (const root of roots) {
    if (seen.has(formatStorePath(root))) continue;
    seen.add(formatStorePath(root));
    const stack = [{ path: root, found: await find(root, undefined), next: 0 }];
    while (stack.length > 0) {
      const top = stack[stack.length - 1];
      const reference = top.found.references[top.next++];
      if (!reference) {
        ordered.push(top.found);
        stack.pop();
      } else if (!seen.has(formatStorePath(reference))) {
        seen.add(formatStorePath(reference));
        stack.push({ path: reference, found: await find(reference, top.path), next: 0 });
      }
    }
  }
  return ordered;
}
