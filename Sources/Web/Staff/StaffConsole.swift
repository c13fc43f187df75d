import HTML
import HTTPTypes
import Hummingbird
import Kernel
import NIOCore

/// The console of the staff listener: every page in the frame, sign-in, operation forms. Nothing here needs a script.
struct StaffConsole: Sendable {
    let context: WebContext
    let assets: Assets
    private let searchBoxes: SearchBoxes

    init(_ context: WebContext) {
        self.context = context
        searchBoxes = SearchBoxes(context.consoles.lazy.compactMap(\.search).first, context.catalog)
        assets = Assets()
    }

    func routes() -> [Route] {
        assets.routes() + pageRoutes() + doorRoutes() + providerRoutes() + deviceRoutes() + operationPageRoutes()
            + styleguideRoutes() + streamRoutes() + slackRoutes()
            + formRoutes().map { form in
                Route(.post, form.template, .page) { exchange in try await post(form, exchange) }
            }
    }

    // MARK: Who asks

    /// A signed-in person of the console.
    struct Signed: Sendable {
        let caller: Caller
        let session: SessionInfo
        let token: String
        /// The colours this browser asked for.
        let theme: Theme?
        /// What stands around the page; `nil` when the page reads it in its own transaction.
        var around: Around?
    }

    /// What every page says of the moment, whatever it is about.
    struct Around: Sendable {
        /// What waits for this person, by the menu's paths.
        var due: [String: Int64] = [:]
        /// What stands above the page.
        var notice = Node.none
    }

    /// `nil` without a session, or with one that is over.
    /// - Parameter counts: false when whoever answers counts what is due.
    func session(_ exchange: Exchange, counts: Bool = true) async throws -> Signed? {
        guard let token = exchange.cookie(context.configuration.sessionCookie) else { return nil }
        return try await session(token: token, exchange, counts: counts)
    }

    func session(token: String, _ exchange: Exchange, counts: Bool = true) async throws -> Signed? {
        guard let (caller, session) = try await context.authenticate(token, exchange, exchange.source(.console)) else {
            return nil
        }
        return Signed(
            caller: caller, session: session, token: token, theme: Self.theme(exchange),
            around: counts ? await around(caller, on: exchange.path) : nil)
    }

    /// The counts of the menu, and the notices. What can't be had is no reason to refuse what was done.
    private func around(_ caller: Caller, on page: String) async -> Around {
        (try? await context.pipeline.read(nil, by: caller) { reader in
            reader.foresee(counted(caller).flatMap { $0.foresees(caller) })
            return (try around(caller, on: page, reader), nil)
        }) ?? Around()
    }

    private func around(_ caller: Caller, on page: String, _ reader: any Reader) throws -> Around {
        var around = Around()
        for item in counted(caller) { around.due[item.path] = try item.due?(caller, reader) }
        for console in context.consoles {
            if let notice = try console.notice?(caller, page, reader) { around.notice = around.notice + notice }
        }
        return around
    }

    /// The menu's items with a count that this person sees.
    private func counted(_ caller: Caller) -> [Console.MenuItem] {
        context.consoles.flatMap(\.menu).filter {
            $0.due != nil && $0.permission.map(caller.permissions.contains) ?? true
        }
    }

    /// A page that needs a session; without one the person signs in first and comes back.
    func signedPage(
        _ path: String, counts: Bool = true, _ handler: @escaping @Sendable (Exchange, Signed) async throws -> Response
    ) -> Route {
        Route(.get, path, .page) { exchange in
            guard let signed = try await session(exchange, counts: counts) else {
                let target = exchange.request.head.path ?? "/"
                return .seeOther(target == "/" ? "/signin" : "/signin?next=\(URLText.encode(target))")
            }
            try context.requests.spend(signed.session.id)
            return try await handler(exchange, signed)
        }
    }

    // MARK: Pages

    private func pageRoutes() -> [Route] {
        context.consoles.flatMap(\.pages).map { page in
            signedPage(page.path, counts: false) { exchange, signed in try await show(page, exchange, signed) }
        }
    }

    func show(
        _ page: Page, _ exchange: Exchange, _ signed: Signed, errors: [FieldError] = [],
        status: HTTPResponse.Status = .ok
    ) async throws -> Response {
        let call = PageCall(
            path: exchange.parameters, query: exchange.query, caller: signed.caller, cursors: context.cursors,
            catalog: context.catalog, csrf: signed.session.csrfToken, errors: errors,
            isFactorFresh: signed.caller.authentication?.isFresh ?? false,
            passkeyHindrance: context.passkeys.map(\.hindrance) ?? "Passkeys are not offered here.",
            provider: context.provider?.provider)
        // The menu's counts come along: a transaction of their own would cost every page as much as itself.
        let permission = page.permission(among: signed.caller.permissions)
        let (answer, around) = try await context.pipeline.read(permission, by: signed.caller) { reader in
            if signed.around == nil {
                reader.foresee(self.counted(signed.caller).flatMap { $0.foresees(signed.caller) })
            }
            let answer = try page.render(call, reader)
            let around = try signed.around ?? self.around(signed.caller, on: exchange.path, reader)
            return ((answer, around), answer.disclosure)
        }
        var signed = signed
        signed.around = around
        if let redirect = answer.redirect { return .seeOther(redirect) }
        return framed(
            answer.title, answer.body, signed, menuPath: page.menuPath, query: exchange.first("q") ?? "",
            status: status)
    }

    /// The page at `path` again, with what is wrong in the form that was posted from it.
    func showAgain(_ path: String, _ posted: PostedForm, errors: [FieldError], status: HTTPResponse.Status) async throws
        -> Response
    {
        guard let page = context.consoles.lazy.flatMap(\.pages).first(where: { $0.path == path }) else {
            throw OperationError.invalid(errors)
        }
        return try await show(page, posted.exchange, posted.signed, errors: errors, status: status)
    }

    func hasPage(_ path: String) -> Bool { context.consoles.contains { $0.pages.contains { $0.path == path } } }

    // MARK: Answers

    /// A page inside the frame of a signed-in person.
    func framed(
        _ title: String, _ body: Node, _ signed: Signed, menuPath: String = "", query: String = "",
        status: HTTPResponse.Status = .ok
    ) -> Response {
        html(
            Frame.render(frame(title, signed, menuPath: menuPath, query: query), body: body), status: status)
    }

    /// What stands around every page of a signed-in person.
    func frame(_ title: String, _ signed: Signed, menuPath: String = "", query: String = "") -> FrameModel {
        FrameModel(
            title: title, environment: environment, deployment: context.configuration.deployment,
            menu: FrameModel.menu(
                of: context.consoles, permissions: signed.caller.permissions, current: menuPath,
                due: signed.around?.due ?? [:]),
            person: FrameModel.Person(
                signed.session, roles: signed.caller.emergency?.isSolo == true ? ["locked"] : signed.caller.roles),
            inbox: (signed.around?.due["/inbox"]).map { FrameModel.Inbox(unread: $0, session: signed.session.id) },
            search: searchBoxes.box(signed.caller.permissions),
            query: query, now: context.clock.now,
            assets: assets.urls, theme: signed.theme, isRed: signed.caller.emergency?.isOpen ?? false,
            notice: signed.around?.notice ?? .none)
    }

    /// A page without a session: sign-in, enrolment.
    func door(_ title: String, _ body: Node, _ exchange: Exchange, status: HTTPResponse.Status = .ok) -> Response {
        html(
            Frame.renderDoor(
                title: title, environment: environment, deployment: context.configuration.deployment,
                host: exchange.request.head.authority ?? "", assets: assets.urls,
                theme: Self.theme(exchange), body: body), status: status)
    }

    /// Not a secret: the page's switch sets it.
    private static func theme(_ exchange: Exchange) -> Theme? { exchange.cookie("theme").flatMap(Theme.init) }

    private var environment: ConsoleEnvironment {
        ConsoleEnvironment(rawValue: context.configuration.environment.rawValue) ?? .production
    }

    /// The security headers of every page.
    func html(_ node: Node, status: HTTPResponse.Status) -> Response {
        Response(
            status: status,
            headers: [
                .contentType: "text/html; charset=utf-8", .cacheControl: "no-store",
                .contentSecurityPolicy:
                    "default-src 'self'; connect-src 'self'; worker-src 'self'; object-src 'none'; "
                    + "frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
                .referrerPolicy: "same-origin", .crossOriginOpenerPolicy: "same-origin",
            ], body: .init(byteBuffer: node.withBytes { ByteBuffer(bytes: $0) }))
    }

    /// A refusal or failure as a page: in the frame for somebody signed in, else at the door.
    func errorPage(_ problem: Problem, _ exchange: Exchange) async -> Response {
        var model = ErrorPageModel(
            status: problem.kind.status, title: problem.kind.title, detail: problem.detail, next: problem.next,
            requestID: exchange.requestID)
        if problem.isOthersRequest {
            model.link = ("Approvals", "/approvals")
        } else {
            model.linksAbsent = problem.kind == .permissionMissing
        }
        let body = OperationViews.error(model)
        var response: Response
        // While the database is away nobody can be recognised, and the page must come all the same.
        if problem.kind != .unavailable, let signed = try? await session(exchange) {
            response = framed(problem.kind.title, body, signed, status: problem.status)
        } else {
            response = door(problem.kind.title, body, exchange, status: problem.status)
        }
        if let retryAfter = problem.retryAfter { response.headers[.retryAfter] = String(retryAfter) }
        for field in problem.headers where field.name == .allow { response.headers[field.name] = field.value }
        return response
    }
}

extension Problem {
    /// Somebody else's request: no role is missing to whoever may not see it.
    fileprivate var isOthersRequest: Bool {
        kind == .permissionMissing && requiredPermission == ApprovalRequest.overview
    }

    /// What a person at a page can do next.
    var next: String {
        switch kind {
        case .permissionMissing where isOthersRequest:
            "A request is seen by those who asked for it, those who may sign it, and those who read the audit log."
        case .signInRequired: "Sign in again; you come back to where you were."
        case .permissionMissing:
            "Somebody who may grant roles can change that. “What can’t I do?” lists what your roles lack."
        case .notFound: "Check the address, or search for it by name, id or e-mail."
        case .conflict, .versionChanged: "Open it again and look at what changed before you repeat this."
        case .formRefused: "Open the page again and send the form from there."
        case .tooManyRequests: "Wait a little and load the page again."
        case .unavailable: "Load this page again in a few seconds. Nothing was changed unless the audit log says so."
        case .internalError:
            "Look at the object before you repeat this. If it happens again, give your operator the request id below."
        default: "Go back, change what is named here and try again."
        }
    }
}
