"""What runs at a partner's side (関係機関の側で動くもの): it talks with the network as any partner does."""
