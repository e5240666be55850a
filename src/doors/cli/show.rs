//! Verbs that show what is: `get`, `status`, `history`, `diff`, `types`, `why`, `metrics`; and `stop`, which shows nothing.

use std::time::Duration;

use super::{
    args::{DiffArgs, GetArgs, HistoryArgs, StatusArgs, StopArgs, TypesArgs, WhyArgs},
    change::difference,
    client::{Client, find_path},
    failure::{Exit, Failure},
    output::{self, Output},
    render::{self, changes::Changes, graph, history as history_table, status as tables, tree, types as type_lists},
    term::Term,
};
use crate::{
    io::clock::{self, Stopwatch},
    logic::script,
    model::{Model, json},
    runtime::node::api::{OfferedType, Revision, Status},
    words::{InstancePath, NodeName, Value},
};

/// How often `-w` looks again.
const REDRAW: Duration = Duration::from_secs(1);

/// `enact status`
pub(super) async fn status(args: &StatusArgs, client: &Client, term: &mut Term) -> Result<(), Failure> {
    if args.wait {
        let watch = Stopwatch::start();
        while !is_converged(&client.status().await?) {
            if watch.elapsed() >= args.timeout {
                status_once(args.output, &client.status().await?, term)?;
                let what = format!("not converged within {}", render::span_text(args.timeout));
                return Err(Failure::new(Exit::Timeout, what, "`enact status` says who is waited for"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let form = args.output;
    repeat(
        args.watch,
        form,
        term,
        client,
        async |client: &Client| client.status().await,
        move |status, term| status_once(form, status, term),
    )
    .await
}

fn is_converged(status: &Status) -> bool {
    status.convergence.n_converged == status.convergence.n_nodes && status.convergence.waiting.is_empty()
}

fn status_once(form: Output, status: &Status, term: &mut Term) -> Result<(), Failure> {
    match form {
        Output::Table | Output::Wide => term.print(&tables::status(status, form == Output::Wide)),
        Output::Tree => term.print(&tree::group(status)),
        Output::Json | Output::Jsonl => output::json(term, form, "Status", status),
        other => Err(other.unknown("status", "table, wide, tree, json and jsonl; `enact get` has the others")),
    }
}

/// What goes on and on into a pipe is for a program, unless a form was asked for.
fn streamed(form: Output, watch: bool, term: &Term) -> Output {
    if watch && !term.live_out && form == Output::Table { Output::Jsonl } else { form }
}

/// Shows once, or whenever it changes: redrawn on a terminal, JSON lines in a pipe.
async fn repeat<T: PartialEq>(
    watch: bool,
    form: Output,
    term: &mut Term,
    client: &Client,
    ask: impl AsyncFn(&Client) -> Result<T, Failure>,
    show: impl Fn(&T, &mut Term) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut last = None;
    loop {
        let now = ask(client).await?;
        if last.as_ref() != Some(&now) {
            if watch && term.live_out && !matches!(form, Output::Json | Output::Jsonl) {
                term.print("\u{1b}[H\u{1b}[2J")?;
            }
            show(&now, term)?;
            last = Some(now);
        }
        if !watch {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(REDRAW) => {}
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
    }
}

/// `enact get`
pub(super) async fn get(args: &GetArgs, client: &Client, term: &mut Term) -> Result<(), Failure> {
    if let Some(text) = &args.path {
        return get_one(text, args, client, term).await;
    }
    let form = streamed(args.output, args.watch, term);
    if matches!(form, Output::Table | Output::Wide | Output::Tree) {
        if args.at.is_some() {
            return Err(Failure::new(
                Exit::Usage,
                "--at shows a model, not what runs",
                "add -o kevs, json, dot or mermaid",
            ));
        }
        return repeat(
            args.watch,
            form,
            term,
            client,
            async |client: &Client| client.status().await,
            move |status, term| {
                term.print(&match form {
                    Output::Tree => tree::group(status),
                    _ => tables::instances(status, form == Output::Wide),
                })
            },
        )
        .await;
    }
    let at = args.at.clone();
    let ask = async |client: &Client| client.model(at.clone()).await;
    repeat(args.watch, form, term, client, ask, move |revised, term| {
        show_model(form, &revised.revision, &revised.model.0, term)
    })
    .await
}

fn show_model(form: Output, revision: &Revision, model: &Model, term: &mut Term) -> Result<(), Failure> {
    match form {
        Output::Dot => term.print(&graph::dot(model)),
        Output::Mermaid => term.print(&graph::mermaid(model)),
        Output::Kevs => term.print(&script::print(model)),
        _ => {
            let model = json::value(model);
            output::json(term, form, "Model", &serde_json::json!({ "revision": revision, "model": model }))
        }
    }
}

/// One instance with its values.
async fn get_one(text: &str, args: &GetArgs, client: &Client, term: &mut Term) -> Result<(), Failure> {
    let revised = client.model(args.at.clone()).await?;
    let path = find_path(&revised.model.0, text)?;
    let why = if args.at.is_none() { Some(client.why(path.clone()).await?) } else { None };
    let document = describe(&revised.model.0, &path);
    match args.output {
        Output::Json | Output::Jsonl => {
            let body = serde_json::json!({ "revision": revised.revision, "instance": document, "state": why.map(|why| why.state) });
            output::json(term, args.output, "Instance", &body)
        }
        Output::Table | Output::Wide => {
            let mut text = format!(
                "{path} : {}",
                render::type_text(revised.model.0.instance(&path).and_then(|i| i.type_ref.as_ref()))
            );
            if let Some(why) = why {
                let cause = if why.cause.is_empty() { String::new() } else { format!("  {}", why.cause) };
                text.push_str(&format!("  {}{cause}", tables::instance_state(why.state)));
            }
            text.push('\n');
            for (name, value) in
                document.as_object().into_iter().flatten().filter(|(name, _)| !matches!(name.as_str(), "path" | "type"))
            {
                text.push_str(&field(name, value));
            }
            term.print(&text)
        }
        other => Err(other.unknown("get INSTANCE", "table, json and jsonl")),
    }
}

fn field(name: &str, value: &Value) -> String {
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    match value {
        Value::Object(map) if map.is_empty() => String::new(),
        Value::Array(items) if items.is_empty() => String::new(),
        Value::Object(map) => {
            let width = map.keys().map(String::len).max().unwrap_or(0);
            let rows: String =
                map.iter().map(|(key, value)| format!("    {key:<width$}  {}\n", plain(value))).collect();
            format!("  {name}\n{rows}")
        }
        Value::Array(items) => format!("  {name}  {}\n", items.iter().map(plain).collect::<Vec<_>>().join(", ")),
        other => format!("  {name}  {}\n", plain(other)),
    }
}

/// An instance as a document: type, whether started, values (secrets hidden), bindings.
fn describe(model: &Model, path: &InstancePath) -> Value {
    let Some(instance) = model.instance(path) else { return Value::Null };
    let definition = model.definition(instance);
    let secret = |name: &str| definition.and_then(|d| d.attribute(name)).is_some_and(|attribute| attribute.secret);
    let values = |dictionary: &crate::model::Dictionary| -> serde_json::Map<String, Value> {
        let shown = |name: &str, value: &str| if secret(name) { "•••".into() } else { Value::from(value) };
        dictionary.iter().map(|(name, value)| (name.to_string(), shown(name.as_str(), value))).collect()
    };
    let bindings: Vec<String> = match path {
        InstancePath::Component(node, component) => {
            let all = model.bindings.of_component(node, component);
            all.map(|binding| format!("{} on {}", binding.port.port, binding.channel)).collect()
        }
        InstancePath::Channel(channel) => model.bindings.of_channel(channel).map(ToString::to_string).collect(),
        InstancePath::Node(_) | InstancePath::Group(_) => Vec::new(),
    };
    let fragments: serde_json::Map<String, Value> =
        instance.fragments.iter().map(|(node, dictionary)| (node.to_string(), values(dictionary).into())).collect();
    serde_json::json!({
        "path": path.to_string(), "type": instance.type_ref.as_ref().map(ToString::to_string), "started": instance.started,
        "values": instance.dictionary.as_ref().map(values).unwrap_or_default(), "fragments": fragments, "bindings": bindings,
    })
}

/// `enact history`
pub(super) async fn history(args: &HistoryArgs, client: &Client, term: &mut Term) -> Result<(), Failure> {
    let entries = client.history(args.n).await?;
    match args.output {
        Output::Table | Output::Wide => term.print(&history_table::history(&entries, clock::now())),
        Output::Json | Output::Jsonl => output::json_list(term, args.output, "Revision", &entries),
        other => Err(other.unknown("history", "table, json and jsonl")),
    }
}

/// `enact diff`
pub(super) async fn diff(args: &DiffArgs, client: &Client, term: &mut Term) -> Result<(), Failure> {
    let after = client.model(args.to.clone()).await?;
    let from = match &args.from {
        Some(from) => from.clone(),
        None => {
            let newest = client.history(1).await?;
            newest.first().map_or_else(|| after.revision.clone(), |entry| entry.from.clone())
        }
    };
    let before = client.model(Some(from)).await?;
    let (old, new) = (&before.model.0, &after.model.0);
    let changes = Changes::between(old, new);
    match args.output {
        Output::Table | Output::Wide => {
            term.print(&format!("  {} → {}\n{}", before.revision, after.revision, difference(old, new)))?;
        }
        Output::Json | Output::Jsonl => {
            let body = serde_json::json!({
                "from": before.revision, "to": after.revision, "changes": changes.sections, "counts": changes.counts,
            });
            output::json(term, args.output, "Diff", &body)?;
        }
        other => return Err(other.unknown("diff", "table, json and jsonl")),
    }
    match args.exit_code && !changes.is_empty() {
        true => Err(Failure::silent(Exit::Changes)),
        false => Ok(()),
    }
}

/// `enact types`
pub(super) fn types(args: &TypesArgs, offered: &[OfferedType], term: &mut Term) -> Result<(), Failure> {
    let wanted = |offer: &&OfferedType| match &args.name {
        Some(name) => is_named(offer, name),
        None => true,
    };
    let found: Vec<&OfferedType> = offered.iter().filter(wanted).collect();
    if let (Some(name), true) = (&args.name, found.is_empty()) {
        let known = offered.iter().map(|offer| offer.definition.id.name.as_str());
        let help = script::diagnostic::did_you_mean(name, known);
        let help = if help.is_empty() { "`enact types` lists them all".to_owned() } else { help };
        return Err(Failure::new(Exit::Error, format!("no type \"{name}\" is known"), help));
    }
    let offers = found.iter().map(|offer| type_lists::Offer { definition: &offer.definition, nodes: &offer.nodes });
    match args.output {
        Output::Json | Output::Jsonl => output::json_list(term, args.output, "Type", &found),
        Output::Table | Output::Wide if args.name.is_some() => {
            let texts: Vec<String> = offers.map(|offer| type_lists::one(&offer)).collect();
            term.print(&texts.join("\n"))
        }
        form @ (Output::Table | Output::Wide) => {
            term.print(&type_lists::list(&offers.collect::<Vec<_>>(), form == Output::Wide))
        }
        other => Err(other.unknown("types", "table, json and jsonl")),
    }
}

/// `Ticker`, `enact.Ticker`, `Ticker/1.0.0`
fn is_named(offer: &OfferedType, name: &str) -> bool {
    let id = &offer.definition.id;
    let (full, version) = name.split_once('/').map_or((name, None), |(full, version)| (full, Some(version)));
    let named = full == id.name.as_str() || full == format!("{}.{}", id.namespace, id.name);
    named && version.is_none_or(|version| *version == *id.version)
}

/// `enact why`
pub(super) async fn why(args: &WhyArgs, client: &Client, term: &mut Term) -> Result<(), Failure> {
    let path = find_path(&client.model(None).await?.model.0, &args.path)?;
    let why = client.why(path).await?;
    match args.output {
        Output::Json | Output::Jsonl => output::json(term, args.output, "Why", &why),
        Output::Table | Output::Wide | Output::Tree => term.print(&tree::why(&why)),
        other => Err(other.unknown("why", "table, json and jsonl")),
    }
}

/// `enact metrics`
pub(super) async fn metrics(node: Option<&str>, client: &Client, term: &mut Term) -> Result<(), Failure> {
    let node = node.map(str::parse).transpose()?;
    term.print(&client.metrics(node).await?)
}

/// `enact stop`
pub(super) async fn stop(args: &StopArgs, client: &Client, term: &mut Term) -> Result<(), Failure> {
    let node: NodeName = args.node_name.parse()?;
    if !args.yes {
        term.confirm(&format!("End the node {node}?"))?;
    }
    client.stop(node.clone()).await?;
    term.say(&format!("  {node} is ending; its part of the model waits for it\n"));
    Ok(())
}
