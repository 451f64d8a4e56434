/**
 * Colours that can be told apart also by who sees no red, no green or no blue, and from the background: they differ in
 * lightness as well as in hue. There are not fifty of those, so lines differ in their dashes too.
 */

/** @type {Readonly<Record<'light' | 'dark', readonly string[]>>} */
export const colours = {
  light: ['#1f5fc4', '#e8500a', '#009b81', '#931f76', '#5a4e00', '#141a14'],
  dark: ['#738cff', '#e08a1e', '#07d6c1', '#c0679c', '#f2e11c', '#e8f4ff'],
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
