//! Types: a table of all, or all about one.

use super::{table::Columns, type_text};
use crate::{
    doors::cli::paint,
    model::{Attribute, DataType, PortDefinition, TypeDefinition},
    words::{NodeName, Value},
};

/// A type and the nodes that can run it.
pub(crate) struct Offer<'a> {
    /// The type.
    pub(crate) definition: &'a TypeDefinition,
    /// The nodes; empty when no group was asked.
    pub(crate) nodes: &'a [NodeName],
}

/// A line for each type.
pub(crate) fn list(offers: &[Offer<'_>], wide: bool) -> String {
    let mut columns = Columns::new(&["TYPE", "KIND", "PORTS", "PARAMETERS", "NODES", "WHAT"]);
    for offer in offers {
        let definition = offer.definition;
        let inputs = definition.provided.iter().map(|port| format!("→{}", port.name));
        let outputs = definition.required.iter().map(|port| format!("{}→", port.name));
        let names =
            |attributes: &Vec<Attribute>| attributes.iter().map(|a| a.name.to_string()).collect::<Vec<_>>().join(" ");
        let nodes: Vec<&str> = offer.nodes.iter().map(NodeName::as_str).collect();
        let doc = doc(definition);
        columns.row(vec![
            type_text(Some(&definition.id)),
            definition.kind.to_string(),
            inputs.chain(outputs).collect::<Vec<_>>().join(" "),
            definition.attributes.as_ref().map(names).unwrap_or_default(),
            nodes.join(" "),
            if wide { first_line(&doc) } else { cut(&first_line(&doc)) },
        ]);
    }
    if columns.is_empty() { "no type is known\n".to_owned() } else { columns.render() }
}

/// All about one type.
pub(crate) fn one(offer: &Offer<'_>) -> String {
    let definition = offer.definition;
    let mut text = format!(
        "{}  {} of {}\n",
        paint::bold(&type_text(Some(&definition.id))),
        definition.kind,
        definition.id.namespace
    );
    for line in doc(definition).lines() {
        text.push_str(&format!("  {line}\n"));
    }
    for (heading, ports) in [("inputs", &definition.provided), ("outputs", &definition.required)] {
        section(&mut text, heading, ports.iter().map(port));
    }
    section(&mut text, "parameters", definition.attributes.iter().flatten().map(attribute));
    if !offer.nodes.is_empty() {
        let nodes: Vec<&str> = offer.nodes.iter().map(NodeName::as_str).collect();
        text.push_str(&format!("\nruns on {}\n", nodes.join(", ")));
    }
    text
}

fn section(text: &mut String, heading: &str, rows: impl Iterator<Item = [String; 3]>) {
    let rows: Vec<[String; 3]> = rows.collect();
    if rows.is_empty() {
        return;
    }
    text.push_str(&format!("\n{heading}\n"));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (names, kinds) = (width(0), width(1));
    for [name, kind, doc] in &rows {
        text.push_str(format!("  {name:<names$}  {kind:<kinds$}  {doc}").trim_end());
        text.push('\n');
    }
}

fn port(port: &PortDefinition) -> [String; 3] {
    let kind = if port.optional { format!("{} (optional)", port.message) } else { port.message.to_string() };
    [port.name.to_string(), kind, first_line(&port.doc)]
}

/// `period  duration, 10ms to 1h, default 3s  How long between two ticks.`
fn attribute(attribute: &Attribute) -> [String; 3] {
    let mut kind = datatype(attribute.datatype);
    if !attribute.one_of.is_empty() {
        kind = attribute.one_of.iter().map(|value| value.to_string()).collect::<Vec<_>>().join(" | ");
    }
    match (&attribute.min, &attribute.max) {
        (Some(min), Some(max)) => kind.push_str(&format!(", {min} to {max}")),
        (Some(min), None) => kind.push_str(&format!(", at least {min}")),
        (None, Some(max)) => kind.push_str(&format!(", at most {max}")),
        (None, None) => {}
    }
    match &attribute.default {
        Some(_) if attribute.secret => {}
        Some(default) if default.is_empty() => kind.push_str(", default ''"),
        Some(default) => kind.push_str(&format!(", default {default}")),
        None if attribute.optional => kind.push_str(", optional"),
        None => kind.push_str(", must be set"),
    }
    if attribute.fragment {
        kind.push_str(", one for each node");
    }
    if attribute.secret {
        kind.push_str(", secret");
    }
    [attribute.name.to_string(), kind, first_line(&attribute.doc)]
}

fn datatype(datatype: DataType) -> String {
    match serde_json::to_value(datatype) {
        Ok(Value::String(text)) => text.to_lowercase(),
        _ => format!("{datatype:?}").to_lowercase(),
    }
}

fn doc(definition: &TypeDefinition) -> String {
    definition.metadata.get("description").map(ToString::to_string).unwrap_or_default()
}

/// What fits behind the other columns.
fn cut(text: &str) -> String {
    const MAX: usize = 50;
    if text.chars().count() <= MAX { text.to_owned() } else { text.chars().take(MAX - 1).chain(['…']).collect() }
}

fn first_line(doc: &str) -> String {
    doc.lines().next().unwrap_or_default().to_owned()
}
