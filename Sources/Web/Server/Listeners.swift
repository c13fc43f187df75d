import HTML
import Hummingbird
import Kernel
import Logging
import ServiceLifecycle

/// The listeners of a Postern server, ready to be put into a service group.
public struct Listeners: Sendable {
    private let context: WebContext
    private let provisioningDoor: (any ProvisioningDoor)?
    private let runtimeDoor: (any RuntimeDoor)?
    private let logger: Logger
    private let onListening: @Sendable (ListenerName, Int) async -> Void

    /// - Parameters:
    ///   - formKey: at least 32 secret bytes, the same on all servers of one deployment. Seals what forms carry.
    ///   - passkeys: knows the passkeys of staff; without it none are offered.
    ///   - provider: knows who vouches for staff elsewhere, if anybody does.
    ///   - devices: lets command lines in by a browser; without it they sign in by password.
    ///   - accountDoor: knows the tokens of service accounts; without it there are none.
    ///   - provisioningDoor: knows the identity provider; without it nothing answers at `/scim/v2`.
    ///   - inboxes: what people are told; without it there are no streams.
    ///   - slack: answers what comes from Slack; without it nothing of it is believed.
    ///   - runtimeDoor: knows the products' tokens; without it the runtime listener answers nothing.
    ///   - qrSVG: draws the text of an enrolment as a QR code, an SVG element without script.
    ///   - onListening: called with the real port when a listener takes connections.
    public init(
        pipeline: Pipeline, signIn: any SignIn, log: any TransparencyLog, consoles: [Console], cursors: CursorCodec,
        configuration: WebConfiguration, health: Health, metrics: Metrics = Metrics(), formKey: [UInt8],
        passkeys: (any Passkeys)? = nil, provider: (any SingleSignOn)? = nil, devices: (any DeviceSignIn)? = nil,
        accountDoor: (any AccountDoor)? = nil, provisioningDoor: (any ProvisioningDoor)? = nil,
        inboxes: (any Inboxes)? = nil, slack: (any SlackDesk)? = nil,
        runtimeDoor: (any RuntimeDoor)? = nil,
        qrSVG: @escaping @Sendable (String) -> String, clock: Clock = .system,
        logger: Logger,
        onListening: @escaping @Sendable (ListenerName, Int) async -> Void = { _, _ in }
    ) {
        var configuration = configuration
        if slack != nil { configuration.openPaths.formUnion(SlackRoutes.paths) }
        if provider?.provider != nil { configuration.openPaths.insert(StaffConsole.providerLogout) }
        context = WebContext(
            pipeline: pipeline, signIn: signIn, passkeys: passkeys,
            provider: provider?.provider == nil ? nil : provider, devices: devices, accountDoor: accountDoor,
            inboxes: inboxes, slack: slack,
            streams: inboxes.map {
                Streams($0, most: configuration.streams, stopping: health.stopping, logger: logger)
            }, log: log, consoles: consoles,
            cursors: cursors, configuration: configuration, clock: clock, metrics: metrics, health: health,
            forms: FormSeal(key: formKey, clock: clock), qrSVG: qrSVG,
            requests: RateLimiter("session", perMinute: configuration.requestsPerMinute, clock: clock),
            tokens: RateLimiter("token", perMinute: configuration.requestsPerMinute, clock: clock),
            accounts: RateLimiter("account", perMinute: configuration.accountRequestsPerMinute, clock: clock),
            signIns: RateLimiter("sign-in", perMinute: configuration.signInsPerMinute, clock: clock),
            strangers: RateLimiter("unknown-session", perMinute: configuration.strangersPerMinute, clock: clock),
            links: RateLimiter("enrolment-link", perMinute: configuration.strangersPerMinute, clock: clock))
        if let streams = context.streams {
            metrics.register(
                .init("postern_streams", help: "Browsers that this server tells live of their inboxes.") {
                    Double(streams.count)
                })
        }
        self.provisioningDoor = provisioningDoor
        self.runtimeDoor = runtimeDoor
        self.logger = logger
        self.onListening = onListening
    }

    /// One service for each listener that has an address, in the order of `ListenerName`.
    public func services() -> [any Service] {
        ListenerName.allCases.compactMap { name in
            context.configuration.addresses[name].map { service(name, at: $0) }
        }
    }

    private func service(_ name: ListenerName, at address: WebConfiguration.Address) -> any Service {
        var routes = context.health.routes(context.requests) + problemPages()
        var errorPage: (@Sendable (Problem, Exchange) async -> Response)?
        switch name {
        case .staff:
            let api = StaffAPI(context)
            let console = StaffConsole(context)
            routes += api.routes() + console.routes() + [LogRoutes(context).key] + SlackRoutes(context).routes()
            if let provisioningDoor { routes += ScimAPI(context, door: provisioningDoor, logger: logger).routes() }
            errorPage = { await console.errorPage($0, $1) }
        case .auditor: routes += LogRoutes(context).routes()
        case .runtime: if let runtimeDoor { routes += RuntimeAPI(context, door: runtimeDoor).routes() }
        case .metrics:
            routes.append(
                Route(.get, "/metrics", .api) { [metrics = context.metrics] _ in
                    .text(await metrics.text(), type: "text/plain; version=0.0.4; charset=utf-8")
                })
        }
        let table = RouteTable(routes)
        let unmatched = RouteTally()
        context.metrics.register(table, on: name)
        context.metrics.register(unmatched, as: "(no route)", on: name)
        // The metrics listener is for the inside and stays plain: scrapers reach it on loopback.
        return ListenerService(
            listener: name, address: address, tls: name == .metrics ? nil : context.configuration.tls,
            responder: ListenerResponder(
                listener: name, routes: table, configuration: context.configuration, clock: context.clock,
                logger: logger,
                errorPage: errorPage, unmatched: unmatched, stopping: context.health.stopping),
            connections: context.configuration.connectionsPerListener, requestTime: context.configuration.requestTime,
            stopTime: .microseconds(context.configuration.stopTime.microseconds),
            logger: logger, onListening: onListening)
    }

    /// `/problems/<slug>`: what the `type` of an error points to.
    private func problemPages() -> [Route] {
        [
            Route(.get, "/problems/{slug}", .api) { exchange in
                guard let kind = Problem.Kind.all.first(where: { $0.slug == exchange.parameters["slug"] }) else {
                    throw Problem(.notFound, "There is no kind of problem with this name.")
                }
                return .text("\(kind.title) (HTTP \(kind.status))\n\n\(kind.explanation)\n")
            }
        ]
    }
}
