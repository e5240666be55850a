//! A small library, and scripts run over it, for the tests of this family.

use super::{Code, Diagnostic, Evaluation, Variables, evaluate, parse};
use crate::{
    model::{
        Attribute, DataType, DeployUnit, Kind, Model, PortDefinition, TypeDefinition,
        library::{Entry, Library},
    },
    words::{AttributeName, Namespace, PortName, TypeRef, UnitRef},
};

pub(super) fn attribute(name: &str, datatype: DataType, default: Option<&str>) -> Attribute {
    Attribute {
        name: AttributeName::parse(name).unwrap(),
        datatype,
        optional: false,
        state: false,
        fragment: false,
        default: default.map(Into::into),
        min: None,
        max: None,
        one_of: Vec::new(),
        secret: false,
        doc: "".into(),
    }
}

fn port(name: &str, message: &str, schema: u64) -> PortDefinition {
    PortDefinition {
        name: PortName::parse(name).unwrap(),
        optional: true,
        no_dependency: false,
        message: message.into(),
        schema,
        doc: "".into(),
        port_type: None,
    }
}

struct Type(TypeDefinition, Vec<(&'static str, &'static str)>);

fn of(kind: Kind, id: &str) -> Type {
    let definition = TypeDefinition {
        id: id.parse().unwrap(),
        kind,
        is_abstract: false,
        units: Vec::new(),
        super_types: Vec::new(),
        attributes: Some(Vec::new()),
        provided: Vec::new(),
        required: Vec::new(),
        metadata: imbl::OrdMap::new(),
    };
    Type(definition, vec![("rust", "1.0.0")])
}

impl Type {
    fn has(mut self, attributes: impl IntoIterator<Item = Attribute>) -> Type {
        self.0.attributes.get_or_insert_default().extend(attributes);
        self
    }

    fn takes(mut self, port: PortDefinition) -> Type {
        self.0.provided.push(port);
        self
    }

    fn sends(mut self, port: PortDefinition) -> Type {
        self.0.required.push(port);
        self
    }

    fn on(mut self, units: &[(&'static str, &'static str)]) -> Type {
        self.1 = units.to_vec();
        self
    }

    fn entry(self) -> Entry {
        let Type(definition, units) = self;
        let TypeRef { namespace, name, .. } = definition.id.clone();
        let unit = |(platform, version): (&str, &str)| DeployUnit {
            id: UnitRef {
                namespace: namespace.clone(),
                name: format!("{}-{platform}", name.as_str().to_lowercase()).into(),
                version: version.into(),
                hashcode: "".into(),
            },
            url: "".into(),
            filters: imbl::OrdMap::unit("platform".into(), platform.into()),
            requires: Vec::new(),
        };
        Entry::new(definition, units.into_iter().map(unit).collect())
    }
}

/// Nodes of two platforms, tickers of two namespaces and three versions, a printer, channels and a group with fragments.
pub(super) fn library() -> Library {
    use DataType::{Boolean, Duration, Int, Long, String};
    let period = |least: &str| {
        let mut period = attribute("period", Duration, Some("3s"));
        (period.min, period.max) = (Some(least.into()), Some("1h".into()));
        period
    };
    let fragment = |mut attribute: Attribute| {
        attribute.fragment = true;
        attribute
    };
    let optional = |mut attribute: Attribute| {
        attribute.optional = true;
        attribute
    };
    let secret = |mut attribute: Attribute| {
        attribute.secret = true;
        attribute
    };
    let mut level = attribute("level", String, Some("low"));
    level.one_of = vec!["low".into(), "high".into()];
    let js = [("js", "5.3.3"), ("js", "5.4.0-beta.0"), ("java", "5.4.0")];
    let mut base = of(Kind::Component, "enact.Base/1");
    base.0.is_abstract = true;
    let mut library = Library::default();
    for one in [
        of(Kind::Node, "kevoree.JavascriptNode/1").on(&[("js", "5.4.0")]).has([attribute(
            "logLevel",
            String,
            Some("INFO"),
        )]),
        of(Kind::Node, "enact.EnactNode/1.0.0"),
        of(Kind::Component, "kevoree.Clock/1").on(&js).sends(port("tick", "", 0)).has([
            optional(attribute("period", Long, Some("3000"))),
            optional(attribute("random", Boolean, Some("false"))),
        ]),
        of(Kind::Component, "enact.Ticker/1.0.0")
            .sends(port("tick", "u64", 7))
            .has([period("10ms"), attribute("down", Boolean, Some("false"))]),
        of(Kind::Component, "enact.Ticker/2.0.0").sends(port("tick", "u64", 7)).has([period("1s"), level]),
        of(Kind::Component, "enact.Ticker/3").sends(port("beat", "u64", 7)),
        of(Kind::Component, "enact.Printer/1").takes(port("input", "Value", 0)),
        of(Kind::Component, "enact.Reader/1").takes(port("input", "String", 9)),
        of(Kind::Component, "enact.Store/1")
            .has([attribute("path", String, None), secret(optional(attribute("pin", Int, None)))]),
        base,
        of(Kind::Component, "a.Twin/1"),
        of(Kind::Component, "b.Twin/1"),
        of(Kind::Channel, "enact.Broadcast/1")
            .has([attribute("delay", Int, Some("0")), fragment(attribute("port", Int, Some("80")))]),
        of(Kind::Group, "enact.Gossip/1")
            .has([fragment(attribute("port", Int, Some("9000"))), fragment(optional(attribute("mark", String, None)))]),
    ] {
        library.add(one.entry());
    }
    debug_assert!(Namespace::parse("enact").is_ok());
    library
}

/// Runs a script over a model.
pub(super) fn run_on(model: &Model, text: &str) -> Result<Evaluation, Vec<Diagnostic>> {
    let (script, diagnostics) = parse(text);
    if !diagnostics.is_empty() {
        return Err(diagnostics);
    }
    evaluate(&script, model, &library(), &mut Variables::new(), 0)
}

/// The model that a script makes of nothing.
pub(super) fn made(text: &str) -> Model {
    run_on(&Model::default(), text).unwrap_or_else(|told| panic!("{text}\n{told:#?}")).model
}

/// The codes of what a script is told, with the text they are about.
pub(super) fn told(text: &str) -> Vec<(Code, String)> {
    let list = match run_on(&Model::default(), text) {
        Ok(done) => done.warnings,
        Err(told) => told,
    };
    list.iter().map(|one| (one.code, text[one.span.bytes(text)].to_owned())).collect()
}

/// A node with a ticker, a printer and what connects them.
pub(super) const DEMO: &str = "
    add node1, node2 : EnactNode
    add node1.ticker : Ticker/1.0.0
    add node2.printer : Printer
    add ticks : Broadcast
    add sync : Gossip
    attach node1, node2 sync
    bind node1.ticker.tick ticks
    bind node2.printer.input ticks
";
