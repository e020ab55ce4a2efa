/** The page's signs: drawn here, 16 by 16, in the colour of the text around them. */

const SHAPES = {
  folder:
    "M1.8 4.2c0-.7.5-1.2 1.2-1.2h3l1.5 1.7h5.5c.7 0 1.2.5 1.2 1.2v6.3c0 .7-.5 1.2-1.2 1.2H3c-.7 0-1.2-.5-1.2-1.2z",
  file: "M4 1.8h5l3.2 3.3v8.2c0 .5-.4.9-.9.9H4c-.5 0-.9-.4-.9-.9V2.7c0-.5.4-.9.9-.9zM8.8 2v3.4h3.2",
  link:
    "M6.6 9.4a2.6 2.6 0 0 0 3.7 0l2.2-2.2a2.6 2.6 0 0 0-3.7-3.7l-.7.7M9.4 6.6a2.6 2.6 0 0 0-3.7 0L3.5 8.8a2.6 2.6 0 0 0 3.7 3.7l.7-.7",
  right: "M6 3.5l4.5 4.5L6 12.5",
  left: "M10 3.5L5.5 8l4.5 4.5",
  search: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM10.3 10.3l3.4 3.4",
  check: "M3 8.6l3.3 3.3L13 4.8",
  cross: "M4 4l8 8M12 4l-8 8",
  warn: "M8 2.2l6.2 11H1.8zM8 6.5v3.2M8 11.6v.1",
  question:
    "M5.8 6a2.2 2.2 0 1 1 3.3 1.9c-.7.4-1.1.8-1.1 1.6M8 12v.1M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13z",
  download: "M8 2v7.8M4.8 6.8L8 10l3.2-3.2M2.5 13.3h11",
  upload: "M8 10.5V2.7M4.8 5.8L8 2.6l3.2 3.2M2.5 13.3h11",
  key: "M10.5 2a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7zM8 8l-5.5 5.5M4.2 11.8l1.8 1.8M11.3 4.7v.1",
  pin: "M9.8 1.8l4.4 4.4-1.2.6-2.6 2.6-.4 3.1-4-4-3.5 3.6M6 8.5l-2.5-2 3.1-.4 2.6-2.6z",
  trash: "M2.5 4.3h11M6 4.2V2.5h4v1.7M4 4.4l.6 9.1h6.8l.6-9.1M6.7 7v4M9.3 7v4",
  copy: "M5.5 5.5h8v8h-8zM10.3 5.3V2.5H2.5v7.8h2.8",
  sun:
    "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM8 1.3v1.2M8 13.5v1.2M1.3 8h1.2M13.5 8h1.2M3.3 3.3l.8.8M11.9 11.9l.8.8M12.7 3.3l-.8.8M4.1 11.9l-.8.8",
  moon: "M13.3 9.8A5.8 5.8 0 0 1 6.2 2.7a5.8 5.8 0 1 0 7.1 7.1z",
  pause: "M5.5 3v10M10.5 3v10",
  again: "M13 8a5 5 0 1 1-1.6-3.7M13.3 2v3h-3",
  cloud: "M4.5 12.5a3 3 0 0 1-.3-6 4 4 0 0 1 7.7 1 2.5 2.5 0 0 1 .1 5zM2.5 2.5l11 11",
  compare: "M5 3v10M5 3L2.5 5.5M5 3l2.5 2.5M11 13V3M11 13l2.5-2.5M11 13l-2.5-2.5",
  box: "M8 1.8l5.7 3v6.4L8 14.2l-5.7-3V4.8zM2.5 4.9L8 7.9l5.5-3M8 8v6",
  outside: "M9.5 2.5h4v4M13.3 2.7L7.5 8.5M6.5 3.5h-4v10h10v-4",
} as const;

export type IconName = keyof typeof SHAPES;

export function Icon({ name, class: extra = "" }: { name: IconName; class?: string }) {
  return (
    <svg class={`icon ${extra}`} viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={SHAPES[name]} />
    </svg>
  );
}
