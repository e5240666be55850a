//! `#[derive(Component)]`: from a struct to `impl ComponentType`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{Attribute, Data, DeriveInput, Error, Field, Fields, Ident, Meta, Result, Type, spanned::Spanned};

use crate::attributes::{doc_of, is_name, millis_of, number_of, text_of, texts_of};

/// What the attributes on the struct say.
struct Head {
    name: String,
    version: String,
    namespace: String,
    restart: TokenStream,
}

/// What each field adds to the impl.
#[derive(Default)]
struct Body {
    params: Vec<TokenStream>,
    reads: Vec<TokenStream>,
    changes: Vec<TokenStream>,
    outputs: Vec<TokenStream>,
    out_ports: Vec<TokenStream>,
    fields: Vec<TokenStream>,
    saves: Vec<TokenStream>,
    restores: Vec<TokenStream>,
}

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let head = head(input)?;
    if let Some(parameter) = input.generics.params.first() {
        return Err(Error::new(parameter.span(), "a component type has no type parameters: it has one definition"));
    }
    let Data::Struct(data) = &input.data else {
        return Err(Error::new(input.ident.span(), "a component is a struct"));
    };
    let mut body = Body::default();
    match &data.fields {
        Fields::Named(fields) => fields.named.iter().try_for_each(|field| body.add(field))?,
        Fields::Unit => {}
        Fields::Unnamed(fields) => return Err(Error::new(fields.span(), "a component has named fields")),
    }
    Ok(body.write(&input.ident, &head, &doc_of(&input.attrs)))
}

fn head(input: &DeriveInput) -> Result<Head> {
    let mut head = Head {
        name: input.ident.to_string(),
        version: "0.1.0".to_owned(),
        namespace: "enact".to_owned(),
        restart: quote!(::enact::logic::restart::Policy::DEFAULT),
    };
    for attribute in &input.attrs {
        if attribute.path().is_ident("component") {
            head.read_component(attribute)?;
        } else if attribute.path().is_ident("supervise") {
            head.restart = supervise(attribute)?;
        }
    }
    Ok(head)
}

impl Head {
    fn read_component(&mut self, attribute: &Attribute) -> Result<()> {
        attribute.parse_nested_meta(|meta| {
            let (slot, dotted) = if meta.path.is_ident("version") {
                (&mut self.version, true)
            } else if meta.path.is_ident("name") {
                (&mut self.name, false)
            } else if meta.path.is_ident("namespace") {
                (&mut self.namespace, true)
            } else {
                return Err(meta.error("a component knows `version`, `name` and `namespace`"));
            };
            let text: syn::LitStr = meta.value()?.parse()?;
            *slot = text.value();
            let good = slot.split('.').all(is_name) && (dotted || !slot.contains('.'));
            if good { Ok(()) } else { Err(Error::new(text.span(), "letters, digits, `_` and `-` make a name")) }
        })
    }
}

fn supervise(attribute: &Attribute) -> Result<TokenStream> {
    let mut fields = Vec::new();
    attribute.parse_nested_meta(|meta| {
        if meta.path.is_ident("restart") {
            let n = number_of(&meta)?;
            fields.push(quote!(restarts: #n));
            return Ok(());
        }
        let field = if meta.path.is_ident("within") {
            quote!(within)
        } else if meta.path.is_ident("delay") {
            quote!(delay_min)
        } else if meta.path.is_ident("delay_max") {
            quote!(delay_max)
        } else {
            return Err(meta.error("supervision knows `restart`, `within`, `delay` and `delay_max`"));
        };
        let millis = millis_of(&meta)?;
        fields.push(quote!(#field: ::core::time::Duration::from_millis(#millis)));
        Ok(())
    })?;
    Ok(quote!(::enact::logic::restart::Policy { #(#fields,)* ..::enact::logic::restart::Policy::DEFAULT }))
}

impl Body {
    fn add(&mut self, field: &Field) -> Result<()> {
        let name = field.ident.as_ref().expect("named fields have names");
        let marks: Vec<&Attribute> = field
            .attrs
            .iter()
            .filter(|attribute| ["param", "output", "state"].iter().any(|mark| attribute.path().is_ident(mark)))
            .collect();
        match marks[..] {
            [] => self.fields.push(quote!(#name: ::core::default::Default::default())),
            [mark] if mark.path().is_ident("param") => self.param(name, field, mark)?,
            [mark] if mark.path().is_ident("output") => self.output(name, field, mark)?,
            [mark] => self.state(name, &field.ty, mark)?,
            [_, second, ..] => {
                return Err(Error::new(second.span(), "a field is a parameter, an output or state, not two of them"));
            }
        }
        Ok(())
    }

    fn param(&mut self, name: &Ident, field: &Field, mark: &Attribute) -> Result<()> {
        let (ty, text, doc) = (&field.ty, plain(name), doc_of(&field.attrs));
        let settings = param_settings(mark)?;
        let of = quote_spanned!(ty.span()=> ::enact::runtime::component::ParamDef::of::<#ty>(#text));
        self.params.push(quote!(::enact::runtime::component::ParamDef { #(#settings,)* doc: #doc, ..#of }));
        self.reads.push(quote_spanned!(ty.span()=> let #name = values.get::<#ty>(#text);));
        self.fields.push(quote!(#name: #name.expect("a value that is missing is an error of `finish`")));
        self.changes.push(quote! {
            if let ::core::option::Option::Some(value) = #name && value != self.#name {
                self.#name = value;
                changed.0.push(#text);
            }
        });
        Ok(())
    }

    fn output(&mut self, name: &Ident, field: &Field, mark: &Attribute) -> Result<()> {
        let (ty, text, doc) = (&field.ty, plain(name), doc_of(&field.attrs));
        let mut required = false;
        if !matches!(mark.meta, Meta::Path(_)) {
            mark.parse_nested_meta(|meta| {
                required = meta.path.is_ident("required");
                if required { Ok(()) } else { Err(meta.error("an output knows `required`")) }
            })?;
        }
        let schema = quote_spanned!(ty.span()=> <#ty>::schema);
        self.outputs.push(quote!(::enact::runtime::component::OutputDef {
            name: #text, schema: #schema, required: #required, doc: #doc,
        }));
        self.out_ports.push(
            quote_spanned!(ty.span()=> (#text, &mut self.#name as &mut dyn ::enact::runtime::component::OutPort)),
        );
        self.fields.push(quote!(#name: ::core::default::Default::default()));
        Ok(())
    }

    fn state(&mut self, name: &Ident, ty: &Type, mark: &Attribute) -> Result<()> {
        if !matches!(mark.meta, Meta::Path(_)) {
            return Err(Error::new(mark.span(), "`#[state]` takes nothing"));
        }
        let text = plain(name);
        self.fields.push(quote!(#name: ::core::default::Default::default()));
        self.saves.push(quote_spanned!(ty.span()=>
            fields.insert(#text.into(), ::enact::runtime::component::to_value(&self.#name)?);));
        self.restores.push(quote_spanned!(ty.span()=>
            ::enact::runtime::component::generated::field(&mut fields, #text, &mut self.#name)?;));
        Ok(())
    }

    fn write(&self, ident: &Ident, head: &Head, doc: &str) -> TokenStream {
        let Head { name, version, namespace, restart } = head;
        let Body { params, reads, changes, outputs, out_ports, fields, saves, restores } = self;
        let keep = quote!(::enact::runtime::component);
        quote! {
            #[automatically_derived]
            #[allow(unused_mut, unused_variables)]
            impl #keep::ComponentType for #ident {
                const NAME: &'static str = #name;
                const VERSION: &'static str = #version;
                const NAMESPACE: &'static str = #namespace;
                const DOC: &'static str = #doc;
                const CRATE: (&'static str, &'static str) =
                    (::core::env!("CARGO_PKG_NAME"), ::core::env!("CARGO_PKG_VERSION"));
                const PARAMS: &'static [#keep::ParamDef] = &[#(#params),*];
                const OUTPUTS: &'static [#keep::OutputDef] = &[#(#outputs),*];
                const RESTART: ::enact::logic::restart::Policy = #restart;

                fn build(
                    dictionary: &::enact::model::Dictionary,
                ) -> ::core::result::Result<Self, ::std::vec::Vec<::enact::runtime::instance::ParamError>> {
                    let mut values = #keep::Values::new(Self::PARAMS, dictionary);
                    #(#reads)*
                    values.finish()?;
                    ::core::result::Result::Ok(Self { #(#fields),* })
                }

                fn set(
                    &mut self,
                    dictionary: &::enact::model::Dictionary,
                ) -> ::core::result::Result<#keep::Changed, ::std::vec::Vec<::enact::runtime::instance::ParamError>> {
                    let mut values = #keep::Values::new(Self::PARAMS, dictionary);
                    #(#reads)*
                    values.finish()?;
                    let mut changed = #keep::Changed::default();
                    #(#changes)*
                    ::core::result::Result::Ok(changed)
                }

                fn out_ports(&mut self) -> ::std::vec::Vec<(&'static str, &mut dyn #keep::OutPort)> {
                    ::std::vec![#(#out_ports),*]
                }

                fn snapshot(&self) -> #keep::Result<::enact::words::Value> {
                    let mut fields = #keep::generated::Map::new();
                    #(#saves)*
                    ::core::result::Result::Ok(::enact::words::Value::Object(fields))
                }

                fn restore(&mut self, state: ::enact::words::Value) -> #keep::Result {
                    let mut fields = #keep::generated::fields(state)?;
                    #(#restores)*
                    ::core::result::Result::Ok(())
                }
            }
        }
    }
}

fn param_settings(mark: &Attribute) -> Result<Vec<TokenStream>> {
    let mut settings = Vec::new();
    if matches!(mark.meta, Meta::Path(_)) {
        return Ok(settings);
    }
    mark.parse_nested_meta(|meta| {
        for flag in ["secret", "fragment", "optional"] {
            if meta.path.is_ident(flag) {
                let flag = Ident::new(flag, meta.path.span());
                if flag == "optional" {
                    return Err(meta.error("an optional parameter has the type `Option<…>`"));
                }
                settings.push(quote!(#flag: true));
                return Ok(());
            }
        }
        for limit in ["default", "min", "max"] {
            if meta.path.is_ident(limit) {
                let (limit, text) = (Ident::new(limit, meta.path.span()), text_of(&meta)?);
                settings.push(quote!(#limit: ::core::option::Option::Some(#text)));
                return Ok(());
            }
        }
        if meta.path.is_ident("one_of") {
            let texts = texts_of(&meta)?;
            settings.push(quote!(one_of: &[#(#texts),*]));
            return Ok(());
        }
        Err(meta.error("a parameter knows `default`, `min`, `max`, `one_of`, `secret` and `fragment`"))
    })?;
    Ok(settings)
}

/// The name of a field as people read it: `r#type` is `type`.
fn plain(name: &Ident) -> String {
    let text = name.to_string();
    text.strip_prefix("r#").map(str::to_owned).unwrap_or(text)
}
