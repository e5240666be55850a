//! What concerns a node is all that it needs to plan.

use proptest::prelude::*;

use super::{models::pair, sorted};
use crate::{
    logic::plan::plan,
    model::{
        Binding, Model,
        change::{self, Row, Written},
        concern::Parts,
        testing,
    },
};

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn what_concerns_a_node_is_all_that_it_needs_to_plan(first in testing::models(), edits in testing::edits()) {
        let second = testing::edited(first.clone(), &edits);
        check_parts(&first, &second);
        check_parts(&second, &first);
    }

    #[test]
    fn what_concerns_a_node_is_all_that_it_needs_to_plan_between_models_of_every_kind((a, b) in pair()) {
        check_parts(&grounded(a.model()), &grounded(b.model()));
    }
}

/// The model without bindings that hang in the air: a group hides those.
fn grounded(mut model: Model) -> Model {
    let hangs = |binding: &&Binding| {
        let port = &binding.port;
        model.component(&port.node, &port.component).is_none() || !model.channels.contains_key(&binding.channel)
    };
    let hanging: Vec<Binding> = model.bindings.iter().filter(hangs).cloned().collect();
    for binding in &hanging {
        model.bindings.remove(binding);
    }
    model
}

/// A node that knows only what concerns it plans as if it knew everything, and has nothing to do when it learns the rest.
fn check_parts(first: &Model, second: &Model) {
    let written = change::rows(first, second);
    let parts = Parts::of(first, second, &written);
    for node in second.nodes.keys() {
        let mut own = first.clone();
        let mut shown: Vec<&Written> = parts.for_node(node).collect();
        shown.sort_by_key(|row| &row.element);
        let rows = shown.iter().map(|row| {
            let cells = row.cells.iter().map(|(register, cell)| (register, cell.as_ref())).collect();
            Row { element: &row.element, cells }
        });
        change::patch_rows(&mut own, &rows.collect::<Vec<_>>());
        assert_eq!(sorted(plan(first, &own, node).steps), sorted(plan(first, second, node).steps), "{node}");
        assert!(plan(&own, second, node).is_empty(), "{node}");
    }
}
