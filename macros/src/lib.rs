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

#[cfg(test)]
mod tests {
    use quote::quote;
    use syn::{DeriveInput, ItemImpl, parse_quote};

    use super::{behaviour, derive};

    fn derive_error(input: &DeriveInput) -> String {
        derive::expand(input).expect_err("it is refused").to_string()
    }

    fn component_error(item: ItemImpl) -> String {
        behaviour::expand(&quote!(), item).expect_err("it is refused").to_string()
    }

    #[test]
    fn a_struct_that_is_no_component_is_told_why() {
        assert_eq!(
            derive_error(&parse_quote!(
                enum E {}
            )),
            "a component is a struct"
        );
        assert_eq!(
            derive_error(&parse_quote!(
                struct S(u8);
            )),
            "a component has named fields"
        );
        let generic = derive_error(&parse_quote!(
            struct S<T> {
                t: T,
            }
        ));
        assert_eq!(generic, "a component type has no type parameters: it has one definition");
        let name = derive_error(&parse_quote!(
            #[component(name = "a b")]
            struct S {}
        ));
        assert_eq!(name, "letters, digits, `_` and `-` make a name");
        let key = derive_error(&parse_quote!(
            #[component(verison = "1")]
            struct S {}
        ));
        assert_eq!(key, "a component knows `version`, `name` and `namespace`");
        let span = derive_error(&parse_quote!(
            #[supervise(within = "soon")]
            struct S {}
        ));
        assert_eq!(span, "write a duration here: \"500ms\", \"30s\", \"2m\", \"1h\"");
    }

    #[test]
    fn a_field_that_does_not_fit_is_told_why() {
        let key = derive_error(&parse_quote!(
            struct S {
                #[param(defualt = 3)]
                a: u8,
            }
        ));
        assert_eq!(key, "a parameter knows `default`, `min`, `max`, `one_of`, `secret` and `fragment`");
        let optional = derive_error(&parse_quote!(
            struct S {
                #[param(optional)]
                a: u8,
            }
        ));
        assert_eq!(optional, "an optional parameter has the type `Option<…>`");
        let value = derive_error(&parse_quote!(
            struct S {
                #[param(default = f())]
                a: u8,
            }
        ));
        assert_eq!(value, "write a literal here: 3000, true, 'x', \"3s\"");
        let both = derive_error(&parse_quote!(
            struct S {
                #[param]
                #[state]
                a: u8,
            }
        ));
        assert_eq!(both, "a field is a parameter, an output or state, not two of them");
    }

    #[test]
    fn a_method_that_does_not_fit_is_told_why() {
        let nothing = component_error(parse_quote!(impl S { #[input] fn a(&mut self) {} }));
        assert!(nothing.starts_with("an input takes the message"), "{nothing}");
        let borrowed = component_error(parse_quote!(impl S { #[input] fn a(&mut self, text: &str) {} }));
        assert_eq!(borrowed, "a message is owned by the input: take `String`, not `&str`");
        let policy = component_error(parse_quote!(impl S { #[input(overflow = "drop")] fn a(&mut self, n: u8) {} }));
        assert_eq!(policy, "overflow is \"wait\", \"drop-oldest\" or \"refuse\"");
        let queue = component_error(parse_quote!(impl S { #[input(queue = 0)] fn a(&mut self, n: u8) {} }));
        assert_eq!(queue, "a queue has room for one message at least");
        let twice = component_error(parse_quote!(impl S { #[start] fn a(&mut self) {} #[start] fn b(&mut self) {} }));
        assert_eq!(twice, "there is a `#[start]` already; a component has one");
        let upgrade = component_error(parse_quote!(impl S { #[upgrade] fn a(&mut self, from: &str, v: Value) {} }));
        assert_eq!(upgrade, "an upgrade is: fn upgrade(from: &str, state: Value) -> Result<Value>");
        let own = component_error(parse_quote!(impl Actor for S {}));
        assert_eq!(own, "`#[component]` goes on an impl block of the struct itself");
    }
}
