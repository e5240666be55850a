//! The model as a drawing: for Graphviz (dot) and for Markdown (mermaid).

use std::fmt::Write;

use crate::{model::Model, words::PortPath};

/// The model in Graphviz's language: nodes are boxes around their components, channels ovals, groups circles.
pub(crate) fn dot(model: &Model) -> String {
    let mut text = String::from("digraph model {\n  rankdir=LR; node [fontname=\"sans-serif\"]; compound=true;\n");
    for (name, node) in model.nodes.iter() {
        let _ = writeln!(text, "  subgraph \"cluster_{name}\" {{ label=\"{name}\"; style=rounded;");
        let _ = writeln!(text, "    \"{name}\" [shape=point, style=invis];");
        for (component, value) in node.components.iter() {
            let kind = super::type_text(value.instance.type_ref.as_ref());
            let look = if value.instance.started { "" } else { ", style=dashed" };
            let _ = writeln!(text, "    \"{name}.{component}\" [shape=box, label=\"{component}\\n{kind}\"{look}];");
        }
        text.push_str("  }\n");
    }
    for (name, channel) in model.channels.iter() {
        let kind = super::type_text(channel.instance.type_ref.as_ref());
        let _ = writeln!(text, "  \"channel {name}\" [shape=ellipse, color=\"#DB661D\", label=\"{name}\\n{kind}\"];");
    }
    for name in model.groups.keys() {
        let _ = writeln!(text, "  \"group {name}\" [shape=circle, color=\"#5aa564\", label=\"{name}\"];");
    }
    for (port, channel, receives) in flows(model) {
        let component = format!("{}.{}", port.node, port.component);
        let _ = match receives {
            true => writeln!(text, "  \"channel {channel}\" -> \"{component}\" [headlabel=\"{}\"];", port.port),
            false => writeln!(text, "  \"{component}\" -> \"channel {channel}\" [taillabel=\"{}\"];", port.port),
        };
    }
    for (name, node) in model.nodes.iter() {
        for group in node.groups.iter() {
            let _ =
                writeln!(text, "  \"group {group}\" -> \"{name}\" [dir=none, style=dotted, lhead=\"cluster_{name}\"];");
        }
    }
    text.push_str("}\n");
    text
}

/// The model in Mermaid's language. Its identifiers know neither dots nor blanks, so everything is numbered.
pub(crate) fn mermaid(model: &Model) -> String {
    let mut text = String::from("flowchart LR\n");
    let mut ids = std::collections::BTreeMap::new();
    for (node_idx, (name, node)) in model.nodes.iter().enumerate() {
        let _ = writeln!(text, "  subgraph n{node_idx}[\"{name}\"]");
        for (component, value) in node.components.iter() {
            let id = format!("c{}", ids.len());
            let kind = super::type_text(value.instance.type_ref.as_ref());
            let _ = writeln!(text, "    {id}[\"{component}<br/>{kind}\"]");
            ids.insert((name.clone(), component.clone()), id);
        }
        text.push_str("  end\n");
    }
    for name in model.channels.keys() {
        let _ = writeln!(text, "  ch_{}([\"{name}\"])", name.as_str().replace('-', "_"));
    }
    for (port, channel, receives) in flows(model) {
        let Some(id) = ids.get(&(port.node.clone(), port.component.clone())) else { continue };
        let channel = format!("ch_{}", channel.replace('-', "_"));
        let _ = match receives {
            true => writeln!(text, "  {channel} -- {} --> {id}", port.port),
            false => writeln!(text, "  {id} -- {} --> {channel}", port.port),
        };
    }
    text
}

/// Every binding with whether its port receives.
fn flows(model: &Model) -> impl Iterator<Item = (&PortPath, &str, bool)> {
    model.bindings.iter().map(|binding| {
        let component = model.component(&binding.port.node, &binding.port.component);
        let receives = component.is_some_and(|component| component.provided.contains(&binding.port.port));
        (&binding.port, binding.channel.as_str(), receives)
    })
}
