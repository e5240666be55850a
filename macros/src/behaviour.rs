//! `#[component]`: from an impl block to `impl Behaviour`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{
    Attribute, Error, FnArg, ImplItem, ImplItemFn, ItemImpl, LitStr, Meta, Result, ReturnType, Type, spanned::Spanned,
};

use crate::attributes::{doc_of, number_of, once};

const MARKS: [&str; 5] = ["start", "stop", "update", "input", "upgrade"];

#[derive(Default)]
struct Body {
    start: Option<TokenStream>,
    stop: Option<TokenStream>,
    update: Option<TokenStream>,
    upgrade: Option<TokenStream>,
    inputs: Vec<TokenStream>,
    arms: Vec<TokenStream>,
}

pub(crate) fn expand(arguments: &TokenStream, mut item: ItemImpl) -> Result<TokenStream> {
    if !arguments.is_empty() {
        let words = "`#[component]` on an impl block takes nothing; version and name go to the struct";
        return Err(Error::new(arguments.span(), words));
    }
    if let Some((_, path, _)) = &item.trait_ {
        return Err(Error::new(path.span(), "`#[component]` goes on an impl block of the struct itself"));
    }
    let mut body = Body::default();
    for member in &mut item.items {
        if let ImplItem::Fn(method) = member {
            body.add(method)?;
        }
    }
    let behaviour = body.write(&item.self_ty);
    Ok(quote!(#item #behaviour))
}

impl Body {
    fn add(&mut self, method: &mut ImplItemFn) -> Result<()> {
        let is_mark = |attribute: &Attribute| MARKS.iter().any(|mark| attribute.path().is_ident(mark));
        let Some(at) = method.attrs.iter().position(is_mark) else { return Ok(()) };
        let mark = method.attrs.remove(at);
        if let Some(second) = method.attrs.iter().find(|attribute| is_mark(attribute)) {
            return Err(Error::new(second.span(), "a method has one of these marks, not two"));
        }
        let word = mark.path().get_ident().map(ToString::to_string).unwrap_or_default();
        if word != "input" && !matches!(mark.meta, Meta::Path(_)) {
            return Err(Error::new(mark.span(), format!("`#[{word}]` takes nothing")));
        }
        match word.as_str() {
            "input" => self.input(method, &mark),
            "upgrade" => self.upgrade(method),
            "update" => {
                let call = update_call(method)?;
                once(&mut self.update, call, mark.span(), "`#[update]`")
            }
            "start" => {
                let call = lifecycle(method, &arguments_of(method, 0)?);
                once(&mut self.start, call, mark.span(), "`#[start]`")
            }
            _ => {
                let call = lifecycle(method, &arguments_of(method, 0)?);
                once(&mut self.stop, call, mark.span(), "`#[stop]`")
            }
        }
    }

    fn input(&mut self, method: &ImplItemFn, mark: &Attribute) -> Result<()> {
        let name = &method.sig.ident;
        let text = name.to_string();
        let text = text.strip_prefix("r#").unwrap_or(&text);
        let doc = doc_of(&method.attrs);
        let form =
            "an input takes the message, and ctx if it wants: fn port(&mut self, message: MyType, ctx: &mut Ctx<Self>)";
        let Some(FnArg::Typed(message)) = method.sig.inputs.iter().nth(1) else {
            return Err(Error::new(method.sig.span(), form));
        };
        let ty = &message.ty;
        if let Type::Reference(reference) = &**ty {
            return Err(Error::new(reference.span(), "a message is owned by the input: take `String`, not `&str`"));
        }
        let arguments = arguments_of(method, 1)?;
        let schema = quote_spanned!(ty.span()=> ::enact::runtime::instance::Schema::of::<#ty>);
        let settings = input_settings(mark)?;
        let (reply, answer) = reply_of(method, &call(method, &arguments));
        self.inputs.push(quote!(::enact::runtime::component::InputDef {
            name: #text, schema: #schema, reply: #reply, #settings, doc: #doc,
        }));
        let decode = quote_spanned!(ty.span()=> let message: #ty = message.decode()?;);
        self.arms.push(quote!(#text => { #decode #answer }));
        Ok(())
    }

    fn upgrade(&mut self, method: &ImplItemFn) -> Result<()> {
        let name = &method.sig.ident;
        let good = method.sig.inputs.len() == 2 && method.sig.receiver().is_none() && method.sig.asyncness.is_none();
        if !good {
            let form = "an upgrade is: fn upgrade(from: &str, state: Value) -> Result<Value>";
            return Err(Error::new(method.sig.span(), form));
        }
        let upgrade = quote! {
            fn upgrade(
                from: &str,
                state: ::enact::words::Value,
            ) -> ::enact::runtime::component::Result<::enact::words::Value> {
                Self::#name(from, state)
            }
        };
        once(&mut self.upgrade, upgrade, method.sig.ident.span(), "`#[upgrade]`")
    }

    fn write(&self, ty: &Type) -> TokenStream {
        let Body { start, stop, update, upgrade, inputs, arms } = self;
        let keep = quote!(::enact::runtime::component);
        let ctx = quote!(ctx: &mut #keep::Ctx<Self>);
        let start = start.as_ref().map(|body| quote!(async fn on_start(&mut self, #ctx) -> #keep::Result { #body }));
        let stop = stop.as_ref().map(|body| quote!(async fn on_stop(&mut self, #ctx) -> #keep::Result { #body }));
        let update = update.as_ref().map(
            |body| quote!(async fn on_update(&mut self, changed: &#keep::Changed, #ctx) -> #keep::Result { #body }),
        );
        let input = (!arms.is_empty()).then(|| {
            quote! {
                async fn on_input(
                    &mut self,
                    port: &str,
                    message: ::enact::runtime::instance::Message,
                    #ctx,
                ) -> #keep::Result<#keep::Reply> {
                    match port {
                        #(#arms)*
                        other => ::core::result::Result::Err(::std::format!("no input port \"{other}\"").into()),
                    }
                }
            }
        });
        quote! {
            #[automatically_derived]
            #[allow(unused_variables, clippy::unused_async, clippy::unused_unit)]
            impl #keep::Behaviour for #ty {
                const INPUTS: &'static [#keep::InputDef] = &[#(#inputs),*];
                #start #stop #update #input #upgrade
            }
        }
    }
}

/// The call of a method with its arguments, awaited if it is async.
fn call(method: &ImplItemFn, arguments: &[TokenStream]) -> TokenStream {
    let name = &method.sig.ident;
    let wait = method.sig.asyncness.map(|_| quote!(.await));
    quote_spanned!(name.span()=> self.#name(#(#arguments),*)#wait)
}

fn lifecycle(method: &ImplItemFn, arguments: &[TokenStream]) -> TokenStream {
    let call = call(method, arguments);
    quote_spanned!(method.sig.span()=> ::enact::runtime::component::generated::Lifecycle::into_result(#call))
}

/// What to call a method with that takes `n_own` arguments of its own and then, perhaps, `ctx`.
fn arguments_of(method: &ImplItemFn, n_own: usize) -> Result<Vec<TokenStream>> {
    if method.sig.receiver().is_none() {
        return Err(Error::new(method.sig.span(), "this method takes `&mut self`"));
    }
    let own = if n_own == 1 { vec![quote!(message)] } else { Vec::new() };
    match method.sig.inputs.len() - 1 - n_own {
        0 => Ok(own),
        1 => Ok(own.into_iter().chain([quote!(ctx)]).collect()),
        _ => Err(Error::new(
            method.sig.inputs.span(),
            "after its own arguments this method takes `ctx: &mut Ctx<Self>` only",
        )),
    }
}

fn update_call(method: &ImplItemFn) -> Result<TokenStream> {
    if method.sig.receiver().is_none() {
        return Err(Error::new(method.sig.span(), "this method takes `&mut self`"));
    }
    let mut arguments = Vec::new();
    for argument in method.sig.inputs.iter().skip(1) {
        let FnArg::Typed(typed) = argument else { continue };
        arguments.push(if is_named(&typed.ty, "Changed") { quote!(changed) } else { quote!(ctx) });
    }
    if arguments.len() > 2 {
        let form = "an update takes `changed: &Changed` and `ctx: &mut Ctx<Self>`, each if it wants";
        return Err(Error::new(method.sig.inputs.span(), form));
    }
    Ok(lifecycle(method, &arguments))
}

/// Whether a type is (a reference to) a path that ends with `name`.
fn is_named(ty: &Type, name: &str) -> bool {
    match ty {
        Type::Reference(reference) => is_named(&reference.elem, name),
        Type::Path(path) => path.path.segments.last().is_some_and(|segment| segment.ident == name),
        _ => false,
    }
}

/// The schema of what an input replies, and the call turned into a reply.
fn reply_of(method: &ImplItemFn, call: &TokenStream) -> (TokenStream, TokenStream) {
    let keep = quote!(::enact::runtime::component);
    let nothing = (quote!(::core::option::Option::None), quote!(#call; ::core::result::Result::Ok(#keep::Reply::NONE)));
    let ReturnType::Type(_, ty) = &method.sig.output else { return nothing };
    if matches!(&**ty, Type::Tuple(tuple) if tuple.elems.is_empty()) {
        return nothing;
    }
    let schema_of =
        |ty: &dyn quote::ToTokens| quote!(::core::option::Option::Some(::enact::runtime::instance::Schema::of::<#ty>));
    if !is_named(ty, "Result") {
        return (schema_of(&ty), quote!(::core::result::Result::Ok(#keep::Reply::of(#call))));
    }
    let result = quote!(#keep::generated::reply_of_result(#call));
    match first_argument(ty) {
        Some(inner) if !matches!(inner, Type::Tuple(tuple) if tuple.elems.is_empty()) => (schema_of(&inner), result),
        _ => (
            quote!(::core::option::Option::None),
            quote!(#keep::generated::Lifecycle::into_result(#call).map(|()| #keep::Reply::NONE)),
        ),
    }
}

/// `T` of `Result<T, …>`.
fn first_argument(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else { return None };
    let syn::PathArguments::AngleBracketed(arguments) = &path.path.segments.last()?.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        syn::GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

fn input_settings(mark: &Attribute) -> Result<TokenStream> {
    let mut queue = quote!(::enact::runtime::instance::inbox::QUEUE_DEFAULT);
    let mut overflow = quote!(Wait);
    let mut required = false;
    if !matches!(mark.meta, Meta::Path(_)) {
        mark.parse_nested_meta(|meta| {
            if meta.path.is_ident("queue") {
                let n = number_of(&meta)?;
                if n == 0 {
                    return Err(meta.error("a queue has room for one message at least"));
                }
                queue = quote!(#n);
            } else if meta.path.is_ident("overflow") {
                let word: LitStr = meta.value()?.parse()?;
                overflow = match word.value().as_str() {
                    "wait" => quote!(Wait),
                    "drop-oldest" => quote!(DropOldest),
                    "refuse" => quote!(Refuse),
                    _ => return Err(Error::new(word.span(), "overflow is \"wait\", \"drop-oldest\" or \"refuse\"")),
                };
            } else if meta.path.is_ident("required") {
                required = true;
            } else {
                return Err(meta.error("an input knows `queue`, `overflow` and `required`"));
            }
            Ok(())
        })?;
    }
    Ok(quote!(queue: #queue, overflow: ::enact::runtime::instance::Overflow::#overflow, required: #required))
}
