/** Components that are drawn again only when a property is another one, so that one change costs one row of a list. */

import { Component } from "../vendor/preact-htm.js";

/** @param {(props: any) => any} draw a component whose output follows from its properties alone */
export function kept(draw) {
  return class extends Component {
    shouldComponentUpdate(next) {
      const names = Object.keys(next);
      return names.length !== Object.keys(this.props).length || names.some((name) => !same(this.props[name], next[name]));
    }

    render(props) {
      return draw(props);
    }
  };
}

/** Lists are the same when their entries are. */
function same(one, other) {
  if (!Array.isArray(one) || !Array.isArray(other)) return Object.is(one, other);
  return one.length === other.length && one.every((entry, index) => Object.is(entry, other[index]));
}
