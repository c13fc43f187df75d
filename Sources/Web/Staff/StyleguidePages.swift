import HTML
import HTTPTypes
import Hummingbird
import Kernel

extension StaffConsole {
    /// `/styleguide`: every component in each of its states. Only the demo has it; elsewhere there is no such page.
    func styleguideRoutes() -> [Route] {
        guard context.configuration.environment == .demo else { return [] }
        let tokens = TokenSheet(assets.text("tokens.css"))
        @Sendable func guide() -> Styleguide {
            Styleguide(
                tokens: tokens, catalog: context.catalog, specimens: context.consoles.flatMap(\.specimens),
                now: context.clock.now)
        }
        @Sendable func show(_ section: Styleguide.Section, _ exchange: Exchange, _ signed: Signed) -> Response {
            let theme = exchange.first("theme").flatMap(Theme.init)
            return framed("Styleguide", guide().page(section, theme: theme), themed(signed, theme))
        }
        return [
            signedPage("/styleguide") { exchange, signed in show(.tokens, exchange, signed) },
            signedPage("/styleguide/frame") { exchange, signed in
                let theme = exchange.first("theme").flatMap(Theme.init)
                var model = frame("Frame", themed(signed, theme), menuPath: "/tenants")
                model.environment = exchange.first("environment").flatMap(ConsoleEnvironment.init) ?? model.environment
                model.isRed = exchange.first("red") == "true"
                let body =
                    UI.title("Frame", lead: model.environment.rawValue + (model.isRed ? ", red" : ""))
                    + el("p") { el("a", .href("/styleguide")) { "Back to the styleguide" } }
                return html(Frame.render(model, body: body), status: .ok)
            },
            signedPage("/styleguide/door") { exchange, signed in
                let step = exchange.first("step").flatMap(Styleguide.Door.init) ?? .signin
                let (title, body) = Styleguide.door(step, qr: context.qrSVG)
                return door(title, body, exchange)
            },
            signedPage("/styleguide/{section}") { exchange, signed in
                guard let section = exchange.parameters["section"].flatMap(Styleguide.Section.init) else {
                    throw Problem(.notFound, "The styleguide has no such page.")
                }
                return show(section, exchange, signed)
            },
        ]
    }

    private func themed(_ signed: Signed, _ theme: Theme?) -> Signed {
        guard let theme else { return signed }
        return Signed(
            caller: signed.caller, session: signed.session, token: signed.token, theme: theme, around: signed.around)
    }
}
