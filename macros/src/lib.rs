//! The macros of the component API. They only write impls of `ComponentType` and `Behaviour`; see `enact::runtime::component`.

mod attributes;
mod behaviour;
mod derive;

use proc_macro::TokenStream;
use syn::{DeriveInput, ItemImpl, parse_macro_input};

/// Says what a component is: parameters, outputs and state are its fields.
///
/// On the struct: `#[component(version = "1.0.0", name = "…", namespace = "…")]` and `#[supervise(restart = 5, within = "30s")]`.
/// On fields: `#[param(default = …, min = …, max = …, one_of = ["a", "b"], secret, fragment)]`, `#[output(required)]`, `#[state]`.
/// Other fields start as their `Default`. Doc comments become the type's documentation.
#[proc_macro_derive(Component, attributes(component, supervise, param, output, state))]
pub fn derive_component(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    derive::expand(&input).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// Says what a component does: methods marked `#[start]`, `#[stop]`, `#[update]`, `#[input]` and `#[upgrade]`.
///
/// Each but `upgrade` may be `async` and may take `ctx: &mut Ctx<Self>` last. An input takes the message, and may return what it
/// replies: `#[input(queue = 100, overflow = "drop-oldest", required)]`. An update may take `changed: &Changed`; without an
/// update method the component is stopped and started when its parameters change.
#[proc_macro_attribute]
pub fn component(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as ItemImpl);
    behaviour::expand(&arguments.into(), item).unwrap_or_else(|error| error.to_compile_error()).into()
}
