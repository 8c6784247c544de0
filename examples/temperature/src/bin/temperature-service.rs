//! The temperature service: a service of the host that apps may use, some for reading only.
//!
//! Usage: `temperature-service [--session]`. Prints a line when it can be called.

use softwarecontainer_temperature::{NAME, PATH, connect};
use zbus::{interface, object_server::SignalEmitter};

/// The state: a temperature in degrees Celsius.
struct TemperatureService {
    degrees: f64,
}

#[interface(name = "com.pelagicore.TemperatureService")]
impl TemperatureService {
    async fn echo(&self, text: String) -> String {
        text
    }

    async fn get_temperature(&self) -> f64 {
        self.degrees
    }

    async fn set_temperature(
        &mut self,
        degrees: f64,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> zbus::fdo::Result<()> {
        if !degrees.is_finite() {
            return Err(zbus::fdo::Error::InvalidArgs(
                "not a temperature".to_owned(),
            ));
        }
        self.degrees = degrees;
        Ok(emitter.temperature_changed(degrees).await?)
    }

    #[zbus(signal)]
    async fn temperature_changed(emitter: &SignalEmitter<'_>, degrees: f64) -> zbus::Result<()>;
}

fn main() -> zbus::Result<()> {
    smol::block_on(async {
        let arguments = std::env::args().skip(1).collect();
        let (connection, _) = connect(arguments).await?;
        let service = TemperatureService { degrees: 21.5 };
        connection.object_server().at(PATH, service).await?;
        connection.request_name(NAME).await?;
        println!("{NAME} is ready");
        std::future::pending().await
    })
}
