/** SETTINGS (RFC 9113, section 6.5): what each side tells the other of what it takes. */
import { type Bytes, concat } from "../../bytes/bytes.ts";
import {
  DEFAULT_MAX_FRAME_SIZE,
  encodeFrame,
  encodeWindowUpdate,
  Flag,
  FrameType,
  MAX_31_BITS,
  PREFACE,
  read32,
} from "./frames.ts";
import { ConnectionFault, ErrorCode } from "./http2_error.ts";
import type { Http2Options } from "./options.ts";
import { DEFAULT_WINDOW } from "./window.ts";

export const SettingId = {
  HEADER_TABLE_SIZE: 1,
  ENABLE_PUSH: 2,
  MAX_CONCURRENT_STREAMS: 3,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
  MAX_HEADER_LIST_SIZE: 6,
} as const;

/** A setting: its id and value. Later ones win. */
export type Setting = readonly [id: number, value: number];

export const SETTINGS_ACK: Bytes = encodeFrame(FrameType.SETTINGS, Flag.ACK, 0, new Uint8Array(0));

export function encodeSettings(settings: readonly Setting[]): Bytes {
  const payload = new Uint8Array(6 * settings.length);
  const view = new DataView(payload.buffer);
  settings.forEach(([id, value], i) => {
    view.setUint16(6 * i, id);
    view.setUint32(6 * i + 2, value);
  });
  return encodeFrame(FrameType.SETTINGS, 0, 0, payload);
}

/** What a side sends first: its settings, and the window of the connection; a client the preface before them. */
export function greeting(options: Http2Options, isServer: boolean): Bytes {
  const settings: Setting[] = [
    [SettingId.MAX_CONCURRENT_STREAMS, options.maxConcurrentStreams],
    [SettingId.INITIAL_WINDOW_SIZE, options.streamWindow],
    [SettingId.MAX_FRAME_SIZE, options.maxFrameSize],
    [SettingId.MAX_HEADER_LIST_SIZE, options.maxHeaderListSize],
  ];
  if (!isServer) settings.push([SettingId.ENABLE_PUSH, 0]);
  const parts = [encodeSettings(settings)];
  if (!isServer) parts.unshift(PREFACE);
  const more = options.connectionWindow - DEFAULT_WINDOW;
  if (more > 0) parts.push(encodeWindowUpdate(0, more));
  return concat(parts);
}

/** The settings of a payload, unknown ones too. Throws {@link ConnectionFault} for a value that is not allowed. */
export function decodeSettings(payload: Bytes, fromServer: boolean): Setting[] {
  const settings: Setting[] = [];
  for (let at = 0; at < payload.length; at += 6) {
    const id = payload[at] << 8 | payload[at + 1];
    const value = read32(payload, at + 2);
    checkSetting(id, value, fromServer);
    settings.push([id, value]);
  }
  return settings;
}

function checkSetting(id: number, value: number, fromServer: boolean): void {
  switch (id) {
    case SettingId.ENABLE_PUSH:
      if (value > 1 || (fromServer && value === 1)) {
        throw new ConnectionFault(ErrorCode.PROTOCOL_ERROR, `SETTINGS_ENABLE_PUSH ${value}`);
      }
      return;
    case SettingId.INITIAL_WINDOW_SIZE:
      if (value > MAX_31_BITS) {
        throw new ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, `SETTINGS_INITIAL_WINDOW_SIZE ${value}`);
      }
      return;
    case SettingId.MAX_FRAME_SIZE:
      if (value < DEFAULT_MAX_FRAME_SIZE || value > 0xff_ffff) {
        throw new ConnectionFault(ErrorCode.PROTOCOL_ERROR, `SETTINGS_MAX_FRAME_SIZE ${value}`);
      }
      return;
  }
}
