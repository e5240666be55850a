//! Reading attributes: doc comments, literals as texts, durations, lists.

use syn::{Attribute, Error, Expr, ExprLit, Lit, Meta, Result, meta::ParseNestedMeta, spanned::Spanned};

/// The doc comment: lines of a paragraph joined, paragraphs kept apart.
pub(crate) fn doc_of(attributes: &[Attribute]) -> String {
    let mut doc = String::new();
    for line in attributes.iter().filter_map(doc_line) {
        let line = line.trim();
        if line.is_empty() {
            if !doc.is_empty() {
                doc.push_str("\n\n");
            }
        } else {
            if !doc.is_empty() && !doc.ends_with('\n') {
                doc.push(' ');
            }
            doc.push_str(line);
        }
    }
    doc.trim_end().to_owned()
}

fn doc_line(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else { return None };
    let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &pair.value else { return None };
    pair.path.is_ident("doc").then(|| text.value())
}

/// The value of `key = literal` as the text that the model will hold.
pub(crate) fn text_of(meta: &ParseNestedMeta<'_>) -> Result<String> {
    literal_text(&meta.value()?.parse()?)
}

/// A literal as the text that the model will hold.
pub(crate) fn literal_text(value: &Expr) -> Result<String> {
    let lit = match value {
        Expr::Lit(ExprLit { lit, .. }) => lit,
        Expr::Unary(unary) if matches!(unary.op, syn::UnOp::Neg(_)) => {
            return Ok(format!("-{}", literal_text(&unary.expr)?));
        }
        other => return Err(Error::new(other.span(), "write a literal here: 3000, true, 'x', \"3s\"")),
    };
    match lit {
        Lit::Str(text) => Ok(text.value()),
        Lit::Int(number) => Ok(number.base10_digits().to_owned()),
        Lit::Float(number) => Ok(number.base10_digits().to_owned()),
        Lit::Bool(truth) => Ok(truth.value().to_string()),
        Lit::Char(char) => Ok(char.value().to_string()),
        other => Err(Error::new(other.span(), "write a number, true, false, a character or a text here")),
    }
}

/// The value of `key = ["a", "b"]`.
pub(crate) fn texts_of(meta: &ParseNestedMeta<'_>) -> Result<Vec<String>> {
    match meta.value()?.parse()? {
        Expr::Array(array) => array.elems.iter().map(literal_text).collect(),
        other => Err(Error::new(other.span(), "write a list here: [\"red\", \"green\"]")),
    }
}

/// The value of `key = 5`.
pub(crate) fn number_of(meta: &ParseNestedMeta<'_>) -> Result<u32> {
    meta.value()?.parse::<syn::LitInt>()?.base10_parse()
}

/// The value of `key = "30s"` in milliseconds. Units: ms, s, m (or min), h.
pub(crate) fn millis_of(meta: &ParseNestedMeta<'_>) -> Result<u64> {
    let text: syn::LitStr = meta.value()?.parse()?;
    let value = text.value();
    let value = value.trim();
    let unit_at = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let factor = match value[unit_at..].trim() {
        "ms" => 1,
        "s" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        _ => return Err(Error::new(text.span(), "write a duration here: \"500ms\", \"30s\", \"2m\", \"1h\"")),
    };
    let number: u64 =
        value[..unit_at].parse().map_err(|_| Error::new(text.span(), "write a whole number and a unit"))?;
    Ok(number.saturating_mul(factor))
}

/// Whether a text is a name to Enact: letters, digits, `_` and `-`.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

/// Refuses a second use of a marker that may be there once.
pub(crate) fn once<T>(slot: &mut Option<T>, value: T, at: proc_macro2::Span, what: &str) -> Result<()> {
    if slot.replace(value).is_some() {
        return Err(Error::new(at, format!("there is a {what} already; a component has one")));
    }
    Ok(())
}
