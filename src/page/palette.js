/**
 * Colours that can be told apart also by who sees no red, no green or no blue, and from the background: they differ in
 * lightness as well as in hue. There are not fifty of those, so lines differ in their dashes too.
 */

/** @type {Readonly<Record<'light' | 'dark', readonly string[]>>} */
export const colours = {
  light: ['#0069a8', '#d55e00', '#00875f', '#b0418a', '#6f6400', '#2b2b2b'],
  dark: ['#56b4e9', '#e08a1e', '#2fd1a2', '#e88fc4', '#f0e442', '#e6e6e6'],
};

/** What charts lie on; as in the style sheet. */
export const backgrounds = /** @type {const} */ ({ light: '#ffffff', dark: '#16191d' });

/** Lengths of lines and gaps in pixels. @type {readonly (readonly number[])[]} */
const dashes = [[], [7, 4], [2, 3], [10, 3, 2, 3], [14, 4], [5, 2, 1, 2], [1, 4], [10, 2, 2, 2, 2, 2], [4, 8]];

/** More lines than these nobody can tell apart, whatever they look like. */
export const seriesMax = 50;

/**
 * How the line of a place in the legend looks.
 *
 * @param {number} place From 0.
 * @param {'light' | 'dark'} theme
 * @returns {{ colour: string, dash: readonly number[] }}
 */
export function lookOf(place, theme) {
  const ofTheme = colours[theme];
  return {
    colour: ofTheme[place % ofTheme.length] ?? '#888888',
    dash: dashes[Math.floor(place / ofTheme.length) % dashes.length] ?? [],
  };
}
