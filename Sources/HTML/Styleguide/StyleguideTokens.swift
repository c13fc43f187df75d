import Kernel

extension Styleguide {
    var tokensBody: Node {
        UI.banner(
            .info, "One stylesheet, made from these tokens.",
            "Colours are read from it, and their contrast is computed here: 4.5 for words, 3 for shapes, in both themes."
        )
            + contrasts + spaces + types + frames
    }

    private var contrasts: Node {
        struct Pair {
            let ink: String
            let ground: String
            let least: Double
            let light: Double
            let dark: Double
            let colours: [(TokenSheet.Colour, TokenSheet.Colour)]
        }
        let pairs = TokenSheet.pairs.compactMap { pair -> Pair? in
            guard let ink = tokens.colour(pair.ink), let ground = tokens.colour(pair.ground) else { return nil }
            return Pair(
                ink: pair.ink, ground: pair.ground, least: pair.least,
                light: TokenSheet.contrast(ink.light, ground.light), dark: TokenSheet.contrast(ink.dark, ground.dark),
                colours: [(ink.light, ground.light), (ink.dark, ground.dark)])
        }
        return UI.panel("Contrast", id: "sg-contrast", hint: "words on what") {
            UI.table(
                caption: "Contrast of \(pairs.count) pairs in both themes",
                columns: [
                    Column("Pair", isRowHeader: true) { (pair: Pair) in
                        UI.code(pair.ink) + UI.muted(" on ") + UI.code(pair.ground)
                    },
                    Column("Light", .tight) { pair in swatch(pair.colours[0].1, words: pair.colours[0].0) },
                    Column("Dark", .tight) { pair in swatch(pair.colours[1].1, words: pair.colours[1].0) },
                    Column("Light", .number) { Node(ratio($0.light)) },
                    Column("Dark", .number) { Node(ratio($0.dark)) },
                    Column("At least", .number, priority: 3) { Node(ratio($0.least)) },
                    Column("Holds", priority: 2) { pair in
                        min(pair.light, pair.dark) >= pair.least
                            ? UI.state("Yes", .ok, .check) : UI.state("No", .danger, .x)
                    },
                ], rows: pairs, density: .plain)
        }
    }

    private func ratio(_ value: Double) -> String {
        // Cut, not rounded: 4.49 is not 4.5.
        let hundredths = Int(value * 100)
        let rest = hundredths % 100
        return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
    }

    /// A colour as an attribute, since the pages' policy allows no style of their own.
    private func swatch(_ colour: TokenSheet.Colour, words: TokenSheet.Colour? = nil) -> Node {
        el("svg", .class("swatch"), Attribute("viewBox", "0 0 40 24"), Attribute("aria-hidden", "true")) {
            el("rect", Attribute("width", "40"), Attribute("height", "24"), Attribute("fill", colour.text))
            if let words {
                el(
                    "text", Attribute("x", "20"), Attribute("y", "17"), Attribute("text-anchor", "middle"),
                    Attribute("font-size", "14"), Attribute("fill", words.text)
                ) { "Ag" }
            }
        }
    }

    var coloursBody: Node {
        let known = tokens.tokens.compactMap { token in tokens.colour(token.name).map { (token.name, $0) } }
        return UI.panel("Colours", id: "sg-colours", hint: "\(known.count) tokens") {
            UI.table(
                caption: "Colours in both themes",
                columns: [
                    Column("Token", isRowHeader: true) { (row: (String, (TokenSheet.Colour, TokenSheet.Colour))) in
                        UI.code(row.0)
                    },
                    Column("Light", .tight) { swatch($0.1.0) }, Column("Dark", .tight) { swatch($0.1.1) },
                    Column("Light", priority: 3) { UI.muted($0.1.0.text) },
                    Column("Dark", priority: 3) { UI.muted($0.1.1.text) },
                ], rows: known.map { ($0.0, ($0.1.light, $0.1.dark)) }, density: .plain)
        }
    }

    /// Pixels of a length in rem.
    private func pixels(_ value: String) -> Double? {
        guard value.hasSuffix("rem"),
            let number = Double(value.hasPrefix(".") ? "0" + value.dropLast(3) : String(value.dropLast(3)))
        else { return nil }
        return number * 16
    }

    private func lengths(_ prefixes: [String]) -> [(name: String, size: Double)] {
        tokens.tokens.compactMap { token in
            guard prefixes.contains(where: token.name.hasPrefix) else { return nil }
            return pixels(token.value).map { (token.name, $0) }
        }
    }

    private func number(_ value: Double) -> String {
        value == value.rounded() ? "\(Int(value))" : "\(Int(value)).\(Int((value * 10).rounded()) % 10)"
    }

    private var spaces: Node {
        show("Spaces and sizes", "on a grid of 4 px") {
            UI.facts(
                lengths(["s-", "ctl", "row", "bar-h"]).map { name, size in
                    (
                        name,
                        UI.row {
                            el(
                                "svg", Attribute("width", number(size)), Attribute("height", "12"),
                                Attribute("aria-hidden", "true")
                            ) {
                                el(
                                    "rect", .class("f-accent"), Attribute("width", "100%"), Attribute("height", "100%"))
                            }
                            UI.hint("\(number(size)) px")
                        }
                    )
                })
        }
    }

    private var types: Node {
        show("Type", "13 is the working size") {
            UI.facts(
                lengths(["t-"]).map { name, size in
                    (
                        name,
                        UI.row {
                            el(
                                "svg", Attribute("width", "200"), Attribute("height", "34"),
                                Attribute("aria-hidden", "true")
                            ) {
                                el(
                                    "text", Attribute("x", "0"), Attribute("y", "26"),
                                    Attribute("font-size", number(size)), Attribute("fill", "currentColor")
                                ) { "Suspend 1,204" }
                            }
                            UI.hint("\(number(size)) px")
                        }
                    )
                })
        }
    }

    private var frames: Node {
        show("Frame", "the bar over everything, and the doors") {
            UI.row {
                for environment in ConsoleEnvironment.allCases {
                    UI.linkButton(environment.title, href: "/styleguide/frame?environment=\(environment.rawValue)")
                }
                UI.linkButton("Red frame", href: "/styleguide/frame?environment=production&red=true")
                for door in Door.allCases { UI.linkButton(door.title, href: "/styleguide/door?step=\(door.rawValue)") }
            }
        }
    }

    // MARK: Doors

    /// The pages without a frame.
    public enum Door: String, CaseIterable, Sendable {
        case signin, provider, leaving, code, link, recovery, enrolment, authenticator, codes, stepup, farewell, ask,
            device
        case letin

        var title: String { rawValue.prefix(1).uppercased() + rawValue.dropFirst() }
    }

    /// - Parameter qr: draws a QR code as an SVG element.
    public static func door(_ door: Door, qr: (String) -> String) -> (title: String, body: Node) {
        let body =
            switch door {
            case .signin:
                SignInViews.signIn(
                    SignInModel(
                        deployment: "the styleguide", email: "ines.k@acme.example",
                        error: "E-mail, password or code is wrong. Start again."))
            case .provider:
                SignInViews.signIn(
                    SignInModel(
                        deployment: "the styleguide",
                        error:
                            "Acme SSO can’t be reached right now (no answer in time). Sign in with your password or a passkey "
                            + "meanwhile, or try again in a moment.", provider: "Acme SSO"))
            case .leaving: SignInViews.leaving(to: "Acme SSO", address: "/styleguide")
            case .link: SignInViews.code(CodeStepModel(challenge: "sample", provider: "Acme SSO", links: true))
            case .farewell: SignInViews.signedOut(of: "Acme SSO", address: "/styleguide")
            case .ask:
                DeviceViews.ask(
                    csrf: "sample", code: "BCDF-GHJX",
                    error: "No command line waits with this code. It may have run out, or been answered already.")
            case .letin: DeviceViews.decided(isApproved: true)
            case .device:
                DeviceViews.found(
                    DeviceModel(
                        device: WaitingDevice(
                            code: "BCDF-GHJK", machine: "ines-laptop", client: "cli", ip: "198.51.100.20",
                            askedAt: Instant(microseconds: 0), expiresAt: Instant(microseconds: 600_000_000),
                            isElsewhere: true), name: "Ines K.", roles: ["support_l2"], csrf: "sample", isFresh: true,
                        expiresAt: Instant(microseconds: 0), now: Instant(microseconds: 120_000_000)))
            case .code: SignInViews.code(CodeStepModel(challenge: "sample"))
            case .recovery: SignInViews.code(CodeStepModel(challenge: "sample", usesRecovery: true))
            case .enrolment:
                SignInViews.enrolment(
                    EnrolmentModel(
                        token: "sample",
                        offer: EnrolmentOffer(
                            staffID: "stf_1", email: "ines.k@acme.example", name: "Ines K.",
                            totpSecret: "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", totpURI: "otpauth://totp/Postern",
                            sealedSecret: "sample"), qrSVG: qr("otpauth://totp/Postern"),
                        errors: ["code": "The code is not the one the app shows now. Try the next."]))
            case .authenticator:
                SignInViews.newAuthenticator(
                    EnrolmentModel(
                        token: "",
                        offer: EnrolmentOffer(
                            staffID: "stf_1", email: "ines.k@acme.example", name: "Ines K.",
                            totpSecret: "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", totpURI: "otpauth://totp/Postern",
                            sealedSecret: "sample"), qrSVG: qr("otpauth://totp/Postern")))
            case .codes:
                SignInViews.recoveryCodes(
                    RecoveryCodesModel(codes: (0..<10).map { "7K3F-9QX\($0)-M2WD" }, next: "/styleguide"))
            case .stepup: SignInViews.stepUp(StepUpModel(next: "/styleguide", csrf: "sample"))
            }
        return (door.title, body)
    }
}
