//! A channel type of our own.

use enact::{
    model::{Attribute, DataType},
    runtime::{
        channel::{ChannelCtx, ChannelType, Ends, Settings, attribute},
        instance::{Message, ParamError},
    },
};

/// Lets one message in so many through, to every receiver.
#[derive(Default)]
pub struct Sample {
    one_in: u64,
    n_seen: u64,
}

impl ChannelType for Sample {
    const NAME: &'static str = "Sample";
    const VERSION: &'static str = "1.0.0";
    const DOC: &'static str = "Lets one message in so many through, to every receiver";
    const NAMESPACE: &'static str = "weather";

    fn params() -> Vec<Attribute> {
        let one_in = attribute("one_in", DataType::Int, "10", "Of how many messages one is let through");
        vec![Attribute { min: Some("1".into()), ..one_in }]
    }

    fn configure(&mut self, settings: &Settings) -> Result<(), ParamError> {
        self.one_in = settings.get("one_in")?;
        Ok(())
    }

    fn route(&mut self, _message: &Message, ends: &Ends, ctx: &mut ChannelCtx<'_>) {
        self.n_seen += 1;
        if self.n_seen.is_multiple_of(self.one_in) {
            ends.iter().for_each(|end| ctx.deliver(end.id));
        } else {
            ctx.discard();
        }
    }
}
