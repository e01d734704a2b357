// Descriptions: paragraphs, with `code` in them.

import { make } from '/console/dom.js';

const CODE = /`([^`]+)`/;

// A text whose odd pieces are code.
export const line = (text = '') =>
  text.split(CODE).map((piece, at) => (at % 2 ? make('code', {}, piece) : piece)).filter((piece) => piece !== '');

export const prose = (text = '') => text.split('\n\n').map((paragraph) => make('p', {}, line(paragraph)));
