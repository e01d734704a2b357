// Descriptions: paragraphs, with `code` and **stress** in them.

import { make } from '/console/dom.js';

const MARKED = /(`[^`]+`|\*\*[^*]+\*\*)/;

// A text whose marked pieces are elements.
export const line = (text = '') => text.split(MARKED).filter((piece) => piece !== '').map((piece) => {
  if (piece.startsWith('`')) return make('code', {}, piece.slice(1, -1));
  if (piece.startsWith('**')) return make('strong', {}, piece.slice(2, -2));
  return piece;
});

export const prose = (text = '') => text.split('\n\n').map((paragraph) => make('p', {}, line(paragraph)));
