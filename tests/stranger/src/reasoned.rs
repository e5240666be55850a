//! A group type of our own.

use enact::{
    logic::gossip::Push,
    runtime::group::{GroupCtx, GroupType, Strategy},
};

/// Spreads the model as `Gossip` does, but takes no change without a reason.
#[derive(Default)]
pub struct Reasoned;

impl Strategy for Reasoned {
    fn allow(&mut self, push: &Push, _ctx: &mut GroupCtx<'_>) -> Result<(), String> {
        // Without a message it is the name of the script.
        match push.message.split_whitespace().count() {
            0 | 1 => Err("say why, in a few words: --message 'TEXT'".to_owned()),
            _ => Ok(()),
        }
    }
}

impl GroupType for Reasoned {
    const NAME: &'static str = "Reasoned";
    const VERSION: &'static str = "1.0.0";
    const DOC: &'static str = "Spreads the model as Gossip does, but takes no change without a reason";
    const NAMESPACE: &'static str = "weather";
}
