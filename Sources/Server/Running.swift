import CommandLine
import Connectors
import Consoles
import Credentials
import Foundation
import HTML
import Kernel
import Store
import StorePostgres

/// A deployment whose database is open and checked, with everything wired over it.
struct Running: Sendable {
    let deployment: Deployment
    let storage: Storage
    let database: any Database
    let leadership: any Leadership
    let keys: SecretKeys
    let pipeline: Pipeline
    let signIn: StaffSignIn
    let runtimeDoor: RuntimeTokenDoor
    let accountDoor: ServiceAccountDoor
    let provisioningDoor: ScimDoor
    let inboxes: StaffInbox
    /// `nil` where Slack is not spoken with.
    let slackDesk: StaffSlack?
    let sequencer: Sequencer
    /// Sends what operations leave in the outbox.
    let outbox: OutboxWorker
    /// What this server can send.
    let channels: Set<DeliveryChannel>
    let log: PublishedLog
    let consoles: [Console]
    /// What this server does for all.
    let leads = Leads()
    /// Which workers were told to start anew.
    let restarts = Restarts()
    /// When this server last finished a sweep.
    let swept = LastSweep()
    let clockWasSet: ClockWasSet

    /// Opens what `serve` and the verbs beside it work on.
    /// - Parameters:
    ///   - clock: what the database's `now` is instead of its own clock.
    ///   - makesKeys: makes missing keys, for a database without a log.
    ///   - statementTimeout: how long one statement may take, instead of a request's limit.
    ///   - asServers: queues mail where the servers send it or once did, whatever settings this process was given: it waits until
    ///     one of them does again.
    /// - Throws: `CommandFailure` with what to do, when the database is away, needs migrations, or must not be served.
    static func open(
        _ deployment: Deployment, clock: Clock? = nil, makesKeys: Bool = false, statementTimeout: Span? = nil,
        asServers: Bool = false
    ) async throws(CommandFailure) -> Running {
        var storage = deployment.storage
        do {
            storage = try await deployment.serverStorage()
            if case .sqlite(let path) = storage, !FileManager.default.fileExists(atPath: path) {
                throw CommandFailure(.refused, "There is no database at \(path) yet. Run: postern migrate")
            }
            let (database, leadership) = try storage.open(clock: clock, statementTimeout: statementTimeout)
            do {
                let pending = try await Migrator.pending(database)
                guard pending.isEmpty else {
                    let names = pending.map { "\($0.number) (\($0.name))" }.joined(separator: ", ")
                    throw CommandFailure(
                        .refused,
                        "The database lacks \(pending.count == 1 ? "step" : "steps") \(names). Run: postern migrate")
                }
                if !deployment.isDemo { try await deployment.refuseTooPowerful(database) }
                let keys = try SecretKeys.load(deployment.configuration, makesMissing: makesKeys)
                try await deployment.refuseDemoSecrets(keys, database)
                let sendsMail = try await asServers ? DeliveryChannels.isKnown(.mail, in: database) : nil
                return try Running(
                    deployment, storage, database, leadership, keys, clock: clock, sendsMail: sendsMail)
            } catch {
                await database.close()
                throw error
            }
        } catch {
            throw CommandFailure(error, storage)
        }
    }

    private init(
        _ deployment: Deployment, _ storage: Storage, _ database: any Database, _ leadership: any Leadership,
        _ keys: SecretKeys, clock: Clock?, sendsMail: Bool?
    ) throws {
        let configuration = deployment.configuration
        let records = SQLRecords()
        let store = SQLLogStore()
        let sequencer = Sequencer(
            database: database, store: store, leadership: leadership, key: keys.log,
            file: CheckpointFile(path: configuration.value("checkpoints_file")))
        let wake = Wake()
        let isEmbedded = if case .sqlite = storage { true } else { false }
        let clockWasSet = ClockWasSet(isWatched: isEmbedded)
        let hooks = Pipeline.Hooks(
            blocked: { sequencer.health.problem },
            committed: {
                sequencer.nudge()
                wake.signal()
            }, isClockTrusted: { !clockWasSet.isTrue })
        let mail = try deployment.mail()
        let slack = deployment.slack
        var channels: Set<DeliveryChannel> = [.webhook]
        if mail != nil { channels.insert(.mail) }
        if slack != nil { channels.insert(.slack) }
        self.channels = channels
        var settings = StaffSignIn.Settings()
        settings.sendsMail = mail != nil
        settings.network =
            configuration.flag("session_ip_binding")
            ? (v4: configuration.number("session_ip_v4_bits"), v6: configuration.number("session_ip_v6_bits")) : nil
        settings.site = Result { () throws(PasskeySite.Unfit) in try PasskeySite(url: deployment.staffURL) }
        settings.issuer = deployment.isDemo ? "Postern demo" : "Postern"
        settings.provider = deployment.provider.map { sso in
            var provider = StaffProvider(client: OIDCProvider(sso), consoleURL: deployment.staffURL)
            // The demo's story, told with a clock of its own, begins with passwords.
            provider.isRequired = clock == nil && configuration.flag("oidc_required")
            provider.domains = Set(configuration.list("oidc_domains").map { $0.lowercased() })
            return provider
        }
        self.deployment = deployment
        self.storage = storage
        self.clockWasSet = clockWasSet
        self.database = database
        self.leadership = leadership
        self.keys = keys
        self.sequencer = sequencer
        var rules = Pipeline.Settings()
        rules.consoleURL = deployment.staffURL
        rules.passkeySite = try? settings.site.get()
        rules.masterKey = keys.master
        rules.sendsMail = sendsMail ?? (mail != nil)
        rules.ciso = configuration.text("ciso_email").flatMap(Mailbox.init)?.address
        consoles = Consoles.all(InstallationFacts(deployment, storage, keys))
        pipeline = Pipeline(
            database: database, records: records, directory: StaffDirectory(), catalog: Catalog(consoles),
            clock: clock ?? .system,
            settings: rules,
            hooks: hooks)
        if let meanings = try deployment.claimMeanings() {
            settings.provider?.roles = ClaimedRoles(pipeline: pipeline, meanings: meanings)
        }
        runtimeDoor = RuntimeTokenDoor(pipeline: pipeline, hooks: hooks)
        accountDoor = ServiceAccountDoor(pipeline: pipeline, hooks: hooks)
        provisioningDoor = ScimDoor(pipeline: pipeline, hooks: hooks)
        let logger = ServerLog.make(configuration)
        var courier = WebhookCourier.Settings()
        courier.allowsPrivate = configuration.flag("webhook_allow_private")
        var sending = DeliveryOutbox.Settings()
        sending.channels = channels
        sending.namesInSlack = configuration.flag("slack_names")
        outbox = OutboxWorker(
            outbox: DeliveryOutbox(pipeline: pipeline, hooks: hooks, settings: sending),
            courier: Couriers(
                webhooks: WebhookCourier(masterKey: keys.master, settings: courier),
                slack: slack.map { SlackCourier($0) }, mail: mail.map { MailCourier($0) }),
            wake: wake,
            report: { error in
                logger.warning("sending failed and is tried again", metadata: ["error": "\(error)"])
            })
        signIn = StaffSignIn(
            database: database, records: records, hasher: try Argon2idHasher(),
            cryptography: FidoCryptography(), masterKey: keys.master, pepper: keys.pepper,
            settings: settings, hooks: hooks)
        inboxes = StaffInbox(pipeline: pipeline)
        if let secret = deployment.slackSecret {
            slackDesk = StaffSlack(
                pipeline: pipeline, signIn: signIn, secret: secret, showsNames: configuration.flag("slack_names"))
        } else {
            slackDesk = nil
        }
        log = PublishedLog(
            database: database, store: store, key: keys.log.verifier, nudge: { sequencer.nudge() })
    }

    /// Runs one operation as a part of Postern itself.
    func applied(
        _ operation: String, on target: String? = nil, _ input: JSON = .object([:]), by actor: Actor,
        mandate: Mandate? = nil
    ) async throws(CommandFailure) -> Applied {
        let now = Clock.system.now
        let caller = Caller(
            actor: actor, person: actor.id, displayName: "Postern", client: .cli,
            requestID: Identifier.mint("req", at: now), mandate: mandate)
        do throws(OperationError) {
            let outcome = try await pipeline.run(
                OperationRequest(
                    operation: operation, target: target, input: input, idempotencyKey: Identifier.mint("key", at: now)),
                by: caller)
            guard case .applied(let applied) = outcome.result else {
                throw OperationError.conflict("\(operation) waits for approval.", legal: nil)
            }
            return applied
        } catch {
            throw CommandFailure(error)
        }
    }

    func close() async {
        await outbox.stop()
        await sequencer.stop()
        await database.close()
    }
}
