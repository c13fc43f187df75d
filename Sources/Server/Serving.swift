import CommandLine
import Consoles
import Credentials
import Foundation
import Kernel
import Logging
import ServiceLifecycle
import Synchronization
import Web

extension Running {
    /// Opens the listeners and runs until SIGINT or SIGTERM. Then, in this order: it is not ready any more and still answers
    /// (`drain_seconds`); what is in hand is answered and connections are closed (`stop_seconds`); the lead is given up.
    /// - Parameters:
    ///   - listeners: names of the listeners to open; all when empty.
    ///   - onReady: called once every listener takes connections.
    func serve(
        listeners names: [String], onReady: @escaping @Sendable () -> Void = {}
    ) async throws(CommandFailure) {
        let configuration = deployment.configuration
        let logger = ServerLog.make(configuration)
        Self.raiseFileLimit()
        let wanted = names.isEmpty ? ListenerName.allCases : names.compactMap(ListenerName.init)
        let open = OpenListeners(count: wanted.count) {
            logger.notice("ready", metadata: ["url": "\(deployment.staffURL)", "database": "\(storage.description)"])
            onReady()
        }
        let stopping = Stopping()
        let listeners = Listeners(
            pipeline: pipeline, signIn: signIn, log: log, consoles: consoles,
            cursors: CursorCodec(key: keys.derived("cursors")), configuration: webConfiguration(wanted),
            health: Health(
                [
                    .database(database),
                    .init("log") { [sequencer] in sequencer.health.problem },
                    // Whoever confirms it does so here.
                    .init("clock", isVital: false) { [clockWasSet] in clockWasSet.complaint },
                ], stopping: stopping),
            metrics: Metrics(families: ServerMetrics(running: self).families),
            formKey: keys.derived("forms"), passkeys: signIn, provider: signIn, devices: signIn,
            accountDoor: accountDoor,
            provisioningDoor: provisioningDoor, inboxes: inboxes, slack: slackDesk, runtimeDoor: runtimeDoor,
            qrSVG: Self.qrCode,
            logger: logger,
            onListening: { _, _ in open.opened() })
        let draining = Draining(
            stopping: stopping, time: .seconds(configuration.number("drain_seconds")), logger: logger)
        let housekeeping = Housekeeping(running: self, logger: logger)
        let chores = Chores(running: self, logger: logger)
        do throws(CommandFailure) {
            try await continueLog()
        } catch {
            await close()
            throw error
        }
        do {
            // Before anything is done because its time has come.
            try await lookAtClock(logger)
            try await DeliveryChannels.announce(channels, in: database)
            let changed = try await ProviderSettings.announce(
                deployment.providerDigests(keys.derived("provider settings")), in: database, pipeline.records,
                sendsMail: channels.contains(.mail))
            if !changed.isEmpty {
                logger.warning(
                    "the settings of single sign-on are others than at the last start",
                    metadata: ["settings": "\(changed.joined(separator: ", "))"])
            }
        } catch {
            await close()
            throw CommandFailure(error, storage)
        }
        await sequencer.start()
        await outbox.start()
        // They are stopped from the last to the first, each after the one behind it has ended.
        let services: [any Service] =
            sweeping(logger)
            + [
                ClockWatch(running: self, logger: logger), chores, Restarting(running: self, logger: logger),
                ApprovalTurns(running: self, logger: logger),
                housekeeping,
                Doors(listeners: listeners.services()), draining,
            ]
        // What ends the group is thrown, and said below in a sentence; the libraries would say it before in theirs.
        var quiet = logger
        quiet.logLevel = .critical
        var group = ServiceGroupConfiguration(
            services: services.map { service in
                ServiceGroupConfiguration.ServiceConfiguration(
                    service: Named(service: service), successTerminationBehavior: .gracefullyShutdownGroup)
            }, gracefulShutdownSignals: [.sigint, .sigterm], logger: quiet)
        group.maximumGracefulShutdownDuration = draining.time + .milliseconds(stopTime + 200)
        do {
            try await ServiceGroup(configuration: group).run()
            // Before the last turn of the log: what ends now is still recorded.
            await outbox.stop()
            await housekeeping.finish()
            await close()
            logger.notice("stopped")
        } catch {
            await close()
            if let error = error as? ListenError { throw CommandFailure(.unavailable, error.description) }
            throw CommandFailure(.unexpected, "The server stopped: \(error)")
        }
    }

    /// In milliseconds.
    private var stopTime: Int64 { max(500, 1000 * Int64(deployment.configuration.number("stop_seconds"))) }

    private func sweeping(_ logger: Logger) -> [any Service] {
        let minutes = Int(deployment.configuration.value("sweep_minutes")) ?? 0
        guard minutes > 0 else { return [] }
        return [IntegritySweeping(running: self, interval: .seconds(minutes * 60), logger: logger)]
    }

    /// Connections are files to the system, and the usual soft limit is fewer than the listeners may hold.
    private static func raiseFileLimit() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = min(limit.rlim_max, 65_536)
        _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }

    /// Takes what waits into the log. One that can't be continued (a restored backup, a rewritten history) is said before
    /// anything is written or opened. Nor is there with another master key than this database's.
    func continueLog() async throws(CommandFailure) {
        let opens: Bool?
        do {
            opens = try await database.read { [master = keys.master] reader in
                try SealedSecrets.open(with: master, from: reader)
            }
        } catch {
            throw CommandFailure(error, storage)
        }
        if opens == false { throw SecretKeys.otherMaster }
        do {
            try await sequencer.turn()
        } catch {
            throw CommandFailure(.unavailable, "The log can't be read: \(error)")
        }
        if case .refused(let reason) = sequencer.health { throw CommandFailure(.refused, reason) }
    }

    /// Empty when the text is too long for one: the page also shows the secret in letters.
    @Sendable private static func qrCode(_ text: String) -> String {
        (try? QRCode(text).svg(label: "QR code for your authenticator app")) ?? ""
    }

    private func webConfiguration(_ wanted: [ListenerName]) -> WebConfiguration {
        let configuration = deployment.configuration
        func ranges(_ key: String) -> [NetworkRange] { configuration.list(key).compactMap(NetworkRange.init) }
        return WebConfiguration(
            environment: .init(rawValue: deployment.environment) ?? .production,
            addresses: Dictionary(
                uniqueKeysWithValues: wanted.map { listener in
                    (
                        listener,
                        .init(
                            host: configuration.value("\(listener.rawValue)_host"),
                            port: configuration.port("\(listener.rawValue)_port"))
                    )
                }),
            tls: configuration.text("tls_certificate").map {
                .init(certificate: $0, key: configuration.value("tls_key"))
            },
            trustedProxies: ranges("trusted_proxies"),
            trustedProxyHeader: .init(rawValue: configuration.value("trusted_proxy_header")) ?? .xForwardedFor,
            staffNetworks: ranges("staff_networks"), staffURL: deployment.staffURL,
            stopTime: .milliseconds(stopTime))
    }
}

/// The library names a service by printing it, and printing ours would print every operation there is: half of the time to the
/// first answer.
private struct Named: Service, CustomStringConvertible {
    let service: any Service
    var description: String { "\(type(of: service))" }
    func run() async throws { try await service.run() }
}

/// All listeners together: they close at the same time, and none waits for the requests of another.
private struct Doors: Service {
    let listeners: [any Service]

    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for listener in listeners { group.addTask { try await listener.run() } }
            // `waitForAll` would wait for the others before it says that one can't open.
            while try await group.next() != nil {}
        }
    }
}

/// Counts listeners until all are open.
private final class OpenListeners: Sendable {
    private let remaining: Mutex<Int>
    private let whenAll: @Sendable () -> Void

    init(count: Int, whenAll: @escaping @Sendable () -> Void) {
        remaining = Mutex(count)
        self.whenAll = whenAll
    }

    func opened() {
        let isLast = remaining.withLock { remaining in
            remaining -= 1
            return remaining == 0
        }
        if isLast { whenAll() }
    }
}
