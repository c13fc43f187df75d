import Kernel

/// Gives each parcel to the courier of its channel.
public struct Couriers: Courier {
    private let webhooks: any Courier
    private let slack: (any Courier)?
    private let mail: (any Courier)?

    public init(webhooks: any Courier, slack: (any Courier)? = nil, mail: (any Courier)? = nil) {
        self.webhooks = webhooks
        self.slack = slack
        self.mail = mail
    }

    public func deliver(_ parcel: Parcel) async -> SendOutcome {
        switch parcel.channel {
        case .webhook: await webhooks.deliver(parcel)
        case .slack: await slack?.deliver(parcel) ?? .failed(status: nil, note: "This server has no Slack")
        case .mail: await mail?.deliver(parcel) ?? .failed(status: nil, note: "This server sends no mail")
        }
    }
}
