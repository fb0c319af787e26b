//! What a call gives.

import type * as wit from "./host/wit.js";

/** One piece of an outcome. */
export type Content =
  | { type: "text"; text: string }
  | { type: "image"; mediaType: string; data: Uint8Array }
  | { type: "audio"; mediaType: string; data: Uint8Array }
  | { type: "link"; uri: string; title?: string | undefined; mediaType?: string | undefined };

/** What a call gives: content for people and models, and a value for programs. Begin with `outcome("text")`. */
export class Outcome {
  readonly content: Content[];
  /** A value for programs; undefined where there is none. */
  readonly structured: unknown;

  constructor(content: Content[], structured?: unknown) {
    this.content = content;
    this.structured = structured;
  }

  /** All text content, a line break between pieces. */
  get text(): string {
    return this.content.flatMap((piece) => (piece.type === "text" ? [piece.text] : [])).join("\n");
  }

  /** Adds a piece of content. */
  with(piece: Content): Outcome {
    return new Outcome([...this.content, piece], this.structured);
  }

  /** Adds a text. */
  withText(text: string): Outcome {
    return this.with({ type: "text", text });
  }

  /** Adds an image. `mediaType` is for example `image/png`. */
  withImage(mediaType: string, data: Uint8Array): Outcome {
    return this.with({ type: "image", mediaType, data });
  }

  /** Adds a sound. `mediaType` is for example `audio/wav`. */
  withAudio(mediaType: string, data: Uint8Array): Outcome {
    return this.with({ type: "audio", mediaType, data });
  }

  /** Adds a pointer to something elsewhere. The host never fetches it by itself. */
  withLink(uri: string, title?: string, mediaType?: string): Outcome {
    return this.with({ type: "link", uri, title, mediaType });
  }

  /** Adds a value for programs and leaves the content as it is. */
  withStructured(value: unknown): Outcome {
    return new Outcome(this.content, value);
  }
}

/** An outcome of one text, or of nothing yet. */
export function outcome(text?: string): Outcome {
  return new Outcome(text === undefined ? [] : [{ type: "text", text }]);
}

/** A value for programs, with its JSON as the text for people. */
export function structured(value: unknown): Outcome {
  return outcome(JSON.stringify(value, null, 2)).withStructured(value);
}

/** As the host takes it. */
export function toWit(outcome: Outcome): wit.Outcome {
  const content = outcome.content.map((piece): wit.Content => {
    switch (piece.type) {
      case "text":
        return { tag: "text", val: piece.text };
      case "link":
        return { tag: "link", val: { uri: piece.uri, title: piece.title ?? null, mediaType: piece.mediaType ?? null } };
      case "image":
      case "audio":
        return { tag: piece.type, val: { mediaType: piece.mediaType, data: piece.data } };
    }
  });
  return { content, structured: outcome.structured === undefined ? null : JSON.stringify(outcome.structured) };
}

/** As a skill sees it. */
export function fromWit(raw: wit.Outcome): Outcome {
  const content = raw.content.map((piece): Content => {
    switch (piece.tag) {
      case "text":
        return { type: "text", text: piece.val };
      case "link": {
        const { uri, title, mediaType } = piece.val;
        return { type: "link", uri, title: title ?? undefined, mediaType: mediaType ?? undefined };
      }
      case "image":
      case "audio":
        return { type: piece.tag, ...piece.val };
    }
  });
  return new Outcome(content, raw.structured === null || raw.structured === undefined ? undefined : JSON.parse(raw.structured));
}
