//! What the temperature service and its client share.

/// Bus name and interface of the service.
pub const NAME: &str = "com.pelagicore.TemperatureService";
/// Its object.
pub const PATH: &str = "/com/pelagicore/TemperatureService";

/// A connection to the system bus, or to the session bus if the first argument is `--session`; and
/// the arguments after it.
///
/// # Errors
/// The bus cannot be reached.
pub async fn connect(mut arguments: Vec<String>) -> zbus::Result<(zbus::Connection, Vec<String>)> {
    let session = arguments.first().is_some_and(|first| first == "--session");
    let builder = if session {
        arguments.remove(0);
        zbus::connection::Builder::session()
    } else {
        zbus::connection::Builder::system()
    };
    Ok((builder.build().await?, arguments))
}
