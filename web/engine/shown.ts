/**
 * Texts that come from packages, made fit to be looked at. A name may hold control characters, which do things to whoever
 * shows them, and characters that turn the direction of the text after them, so that `exe.txt` can look like `txt.exe`.
 */

// Controls; soft hyphen and zero-width characters, which cannot be seen; marks that change direction; line and paragraph
// separators; tags; surrogates that are alone, as which bytes stand that are not UTF-8.
const UNFIT =
  /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\u115f\u1160\u3164\uffa0]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/gu;

/** The text with everything that cannot be seen, or misleads, as an escape: `\n`, `\xff` for a byte, `\u{202e}`. */
export function shown(text: string): string {
  return text.replace(UNFIT, (match) => {
    const code = match.codePointAt(0)!;
    if (code === 0x0a) return "\\n";
    if (code === 0x09) return "\\t";
    if (code >= 0xdc80 && code <= 0xdcff) return "\\x" + (code - 0xdc00).toString(16);
    return `\\u{${code.toString(16)}}`;
  });
}
