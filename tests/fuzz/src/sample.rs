//! A model with something of everything, made by the scripts that are also seeds.

use enact::{
    logic::script::{self, Variables},
    model::{Edit, Model, library::Library},
};
use enact_actors::{Broadcast, Counter, Printer, Queue, Ticker, WebServer, WebServerV1};

/// Scripts that hold over [`types`].
pub const SCRIPTS: [&str; 4] = [
    "add n1, n2 : EnactNode\nadd sync : Gossip\nattach n1, n2 sync\n",
    "add n1 : EnactNode\nadd n1.tick : Ticker\nadd n1.print : Printer\nadd chan : Broadcast\nbind n1.tick.tick chan\nbind n1.print.input chan\nset n1.tick.period = \"100ms\"\nset n1.print.prefix = 'it says: \\'hello\\''\n",
    "add n1, n2 : EnactNode\nadd n1.web : WebServer/1.0.0\nupgrade n1.web : WebServer/2.0.0\nmove n1.web n2\nstop n2.web\n",
    "// comment\nadd %%host%% : EnactNode\nnetwork %%host%%.lan.ip 127.0.0.1\nadd n9 : EnactNode\nadd %%host%% n9\nremove n9\n",
];

/// A model with the types of what ships, and nothing else.
pub fn types() -> Model {
    let binary = enact::node()
        .component::<Ticker>()
        .component::<Printer>()
        .component::<Counter>()
        .component::<WebServer>()
        .component::<WebServerV1>()
        .channel::<Broadcast>()
        .channel::<Queue>();
    let edits: Vec<Edit> = binary
        .catalog()
        .iter()
        .flat_map(|bundle| [Edit::AddUnit(bundle.unit.clone()), Edit::AddType(bundle.definition.clone())])
        .collect();
    let mut model = Model::default();
    model.apply(&edits).expect("types need nothing");
    model
}

/// The model that the script of an index makes; just the types when the script fails.
pub fn model(idx: usize) -> Model {
    let types = types();
    let (parsed, _) = script::parse(SCRIPTS[idx % SCRIPTS.len()]);
    match script::evaluate(&parsed, &types, &Library::of(&types), &mut Variables::new(), 7) {
        Ok(evaluation) => evaluation.model,
        Err(_) => types,
    }
}
