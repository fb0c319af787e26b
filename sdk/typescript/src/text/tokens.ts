//! How large a text is to a model.

/**
 * About how many tokens a text has, on the safe side for English and for scripts whose characters are tokens of their own. Budgets need an
 * estimate before the call; what a call really used is in the answer's usage.
 */
export function estimateTokens(text: string): number {
  const other = text.match(/[^\0-\x7f]/gu)?.length ?? 0;
  const units = text.match(/[^\0-\x7f]/g)?.length ?? 0;
  return Math.ceil((text.length - units) / 4) + other;
}
