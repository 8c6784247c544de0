// A small launcher in C++ with Qt: runs a command in a container, as long as both live.
//
// Usage: launch [--session-bus] APP-ID COMMAND [ARGUMENT]...
//
// The app writes to this program's standard output and error. SIGTERM and SIGINT end the app. This program ends with
// the app's exit status, or 128 and the signal that ended it; the container goes with it, however it ends.

#include <csignal>
#include <cstdio>

#include <QCoreApplication>
#include <QDBusArgument>
#include <QDBusConnection>
#include <QDBusMetaType>
#include <QDBusServiceWatcher>
#include <QSocketNotifier>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "manager.h"

namespace {

const QString NAME = QStringLiteral("com.pelagicore.SoftwareContainerAgent");
const QString PATH = QStringLiteral("/com/pelagicore/SoftwareContainerAgent");
constexpr int NOT_STARTED = 125;

class Launcher
{
public:
    Launcher(const QDBusConnection &bus, QString app)
        : m_bus(bus)
        , m_manager(NAME, PATH, bus)
        , m_watcher(NAME, bus, QDBusServiceWatcher::WatchForOwnerChange)
        , m_app(std::move(app))
    {
        QObject::connect(&m_manager, &ComPelagicoreSoftwareContainerAgentManagerInterface::ProcessEnded, &m_manager,
                         [this](int container, uint process, uint status, const QVariantMap &details) {
                             if (container == m_container && process == m_process)
                                 ended(static_cast<int>(status), details);
                         });
        QObject::connect(&m_watcher, &QDBusServiceWatcher::serviceOwnerChanged, &m_watcher,
                         [this](const QString &, const QString &, const QString &owner) { ownerChanged(owner); });
    }

    bool start(const QStringList &command)
    {
        // Signals of this interface are sent to those alone who ask for them.
        auto subscribed = m_manager.Subscribe();
        subscribed.waitForFinished();
        if (subscribed.isError())
            return fail(subscribed.error());
        // "bound": if this program dies, the agent removes the container.
        const QVariantMap options{{QStringLiteral("bound"), true}};
        auto created = m_manager.CreateNamed(QStringLiteral("[{\"writeBufferEnabled\": false}]"), m_app, options);
        created.waitForFinished();
        if (created.isError())
            return fail(created.error());
        m_container = created.argumentAt<0>();
        const Descriptors descriptors{{STDOUT_FILENO, QDBusUnixFileDescriptor(STDOUT_FILENO)},
                                      {STDERR_FILENO, QDBusUnixFileDescriptor(STDERR_FILENO)}};
        auto executed = m_manager.ExecuteWithFds(m_container, command, descriptors, {});
        executed.waitForFinished();
        if (executed.isError())
            return fail(executed.error());
        m_process = executed.argumentAt<0>();
        say(QStringLiteral("process %1 in container %2").arg(m_process).arg(m_container));
        return true;
    }

    void stop()
    {
        auto sent = m_manager.Signal(m_container, m_process, SIGTERM);
        sent.waitForFinished();
        // It may have ended by itself.
        if (sent.isError())
            fail(sent.error());
    }

private:
    bool fail(const QDBusError &error) const
    {
        say(error.message());
        return false;
    }

    void say(const QString &text) const
    {
        std::fprintf(stderr, "%s: %s\n", qPrintable(m_app), qPrintable(text));
    }

    void ended(int status, const QVariantMap &details) const
    {
        const QString advice = details.value(QStringLiteral("advice")).toString();
        const QString end = advice.isEmpty() ? QString() : QStringLiteral(": ") + advice;
        if (WIFSIGNALED(status)) {
            const QString reason = details.value(QStringLiteral("reason")).toString();
            say(QStringLiteral("ended by signal %1 (%2)").arg(WTERMSIG(status)).arg(reason) + end);
            QCoreApplication::exit(128 + WTERMSIG(status));
        } else {
            say(QStringLiteral("ended with status %1").arg(WEXITSTATUS(status)) + end);
            QCoreApplication::exit(WEXITSTATUS(status));
        }
    }

    // The agent has left the bus, or a new one is there, which may go on with the container or not.
    void ownerChanged(const QString &owner)
    {
        if (owner.isEmpty()) {
            say(QStringLiteral("the agent is gone; waiting for the next one"));
            return;
        }
        m_manager.Subscribe().waitForFinished();
        if (isRunning())
            return;
        say(QStringLiteral("ended while the agent was restarted"));
        QCoreApplication::exit(128 + SIGKILL);
    }

    bool isRunning() const
    {
        const QString path = PATH + QStringLiteral("/containers/%1").arg(m_container);
        auto call = QDBusMessage::createMethodCall(NAME, path, QStringLiteral("org.freedesktop.DBus.Properties"),
                                                   QStringLiteral("Get"));
        call << NAME + QStringLiteral(".Container") << QStringLiteral("Processes");
        const QDBusMessage reply = m_bus.call(call);
        if (reply.type() != QDBusMessage::ReplyMessage)
            return false;
        const auto value = reply.arguments().constFirst().value<QDBusVariant>().variant();
        const auto processes = value.value<QDBusArgument>();
        bool found = false;
        for (processes.beginArray(); !processes.atEnd();) {
            uint process = 0;
            QString command;
            qulonglong since = 0;
            processes.beginStructure();
            processes >> process >> command >> since;
            processes.endStructure();
            found = found || process == m_process;
        }
        processes.endArray();
        return found;
    }

    QDBusConnection m_bus;
    ComPelagicoreSoftwareContainerAgentManagerInterface m_manager;
    QDBusServiceWatcher m_watcher;
    QString m_app;
    int m_container = -1;
    uint m_process = 0;
};

} // namespace

int main(int count, char **words)
{
    // Before the first thread, so that only the descriptor has them.
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGTERM);
    sigaddset(&stops, SIGINT);
    sigprocmask(SIG_BLOCK, &stops, nullptr);
    QCoreApplication application(count, words);
    QStringList arguments = QCoreApplication::arguments().mid(1);
    const bool sessionBus = arguments.value(0) == QStringLiteral("--session-bus");
    if (sessionBus)
        arguments.removeFirst();
    if (arguments.size() < 2) {
        std::fprintf(stderr, "Usage: launch [--session-bus] APP-ID COMMAND [ARGUMENT]...\n");
        return 2;
    }
    qDBusRegisterMetaType<Descriptors>();
    const QString app = arguments.takeFirst();
    Launcher launcher(sessionBus ? QDBusConnection::sessionBus() : QDBusConnection::systemBus(), app);
    if (!launcher.start(arguments))
        return NOT_STARTED;
    const int descriptor = signalfd(-1, &stops, SFD_CLOEXEC);
    QSocketNotifier notifier(descriptor, QSocketNotifier::Read);
    QObject::connect(&notifier, &QSocketNotifier::activated, &notifier, [&] {
        signalfd_siginfo signal;
        if (read(descriptor, &signal, sizeof signal) == sizeof signal)
            launcher.stop();
    });
    return QCoreApplication::exec();
}
