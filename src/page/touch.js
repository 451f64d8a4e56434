/**
 * Lets a finger that goes sideways over a plot do what a mouse does with its button down: read values and select a range. One that
 * goes up or down scrolls the page, as the style sheet says, and one that taps is a mouse to the plot already.
 *
 * @param {Pick<uPlot, 'over'>} plot
 */
export function takeTouch({ over }) {
  /** @type {PointerEvent | undefined} */
  let start;
  let isDragged = false;

  /** Within the plot, where it began. @param {string} type @param {PointerEvent} at */
  const send = (type, at) => {
    const { left, right, top, bottom } = over.getBoundingClientRect();
    const clientX = Math.min(Math.max(at.clientX, left), right);
    const clientY = Math.min(Math.max(at.clientY, top), bottom);
    // What has not moved uPlot takes for no drag.
    over.dispatchEvent(new MouseEvent(type, { clientX, clientY, movementX: 1, bubbles: true }));
  };

  over.addEventListener('pointerdown', (event) => {
    if (event.pointerType === 'touch' && event.isPrimary) start = event;
  });
  over.addEventListener('pointermove', (event) => {
    if (event.pointerId !== start?.pointerId) return;
    const isSideways = Math.abs(event.clientX - start.clientX) > Math.abs(event.clientY - start.clientY);
    if (isSideways && !isDragged) send('mousedown', start);
    isDragged ||= isSideways;
    if (isDragged) send('mousemove', event);
  });
  /** @param {PointerEvent} event */
  const end = (event) => {
    if (event.pointerId !== start?.pointerId) return;
    // Where the browser needs the finger for something else, nothing is selected.
    const last = event.type === 'pointerup' ? event : start;
    if (isDragged) for (const type of ['mousemove', 'mouseup']) send(type, last);
    start = undefined;
    isDragged = false;
  };
  over.addEventListener('pointerup', end);
  over.addEventListener('pointercancel', end);
}
