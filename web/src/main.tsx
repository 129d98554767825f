import "./styles/tokens.css";
document.title = "Tenon";
